"""Strong scaling: a recipe's training step by one process of several threads, and by as many processes of one thread each."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STEPS = 16
WARM = 4
"""Steps of a run, and how many of them are not counted."""


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend and number of processes: milliseconds a step, median of the runs' medians, and against one process.

    The runs are whole ones, in turns; both share the processors that there are, and the batch. Steps are told apart by the times that a run
    records of them.
    """
    processors = len(os.sched_getaffinity(0))
    rows = []
    with tempfile.TemporaryDirectory(prefix="gatework-processes-") as folder:
        for backend in arguments.only.split(",") if arguments.only else ("torch", "tensorflow"):
            found: dict[int, list[float]] = {1: [], processors: []}
            for number in range(arguments.rounds):
                for processes, medians in found.items():
                    medians.append(_step(Path(folder) / f"{backend}-{number}-{processes}", backend, processes, processors, arguments))
            alone = statistics.median(found[1])
            for processes, medians in found.items():
                milliseconds = statistics.median(medians)
                row = {"backend": backend, "processes": processes, "threads each": processors // processes, "ms a step": milliseconds}
                rows.append({**row, "× one process": milliseconds / alone, "least": min(medians), "most": max(medians)})
    return rows


def _step(runs: Path, backend: str, processes: int, processors: int, arguments: argparse.Namespace) -> float:
    words = [f"recipe={arguments.recipe}", f"backend={backend}", f"backend.threads={processors // processes}", "backend.tune=false"]
    words += [f"trainer.devices={processes}", f"trainer.limit_train_batches={STEPS}", "trainer.max_epochs=1", "trainer.log_every_n_steps=1"]
    words += ["trainer.sample_every_n_epochs=null", "tracking=none", f"paths.runs_dir={runs}", "name=run", *arguments.overrides]
    command = [sys.executable, "-m", "framework", "train", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    times = list(_times(next(runs.glob("*/run/metrics.jsonl"))))
    return statistics.median([after - before for before, after in zip(times[WARM:], times[WARM + 1 :], strict=False)]) * 1e3


def _times(metrics: Path) -> Iterator[float]:
    """When each step was recorded, in seconds."""
    for line in metrics.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "learning_rate" in record["values"]:
            yield float(record["time"])
