"""A comparison of both backends, kept as a run is: a folder, its tables, and a run in MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.backends.base.registry import BACKENDS
from framework.config.saved import save_resolved
from framework.engine.digest import config_digest, resolved
from framework.engine.files import write_json, write_text
from framework.engine.folder import RunFolder
from framework.engine.parity import Measured
from framework.engine.prepare import prepare_experiment
from framework.engine.recorder import Recorder
from framework.engine.sync import sync
from framework.report.parity import parity_table, parity_tally
from framework.spec.experiment import Experiment
from framework.tracking.environment import describe_environment
from framework.tracking.installed import mlflow_is_installed
from framework.tracking.outbox import PARITY, is_tracked

FOLDER = ".parity"
"""Folder below that of all runs with a folder for each comparison."""

_LIBRARIES = ("gatework", "numpy", "torch", "pytorch-lightning", "tensorflow", "keras")


def record_parity(
    experiment: Experiment, steps: int, measured: Mapping[str, Measured], rows: Sequence[Mapping[str, Any]], warn: Callable[[str], None]
) -> tuple[Path, dict[str, Any]]:
    """Writes what two backends had in common, and delivers it to MLflow as ``tracking`` says.

    Args:
        experiment: what was compared.
        steps: optimizer steps compared.
        measured: by backend, from :func:`~framework.engine.parity.measure_backends`.
        rows: the lines of the table, from :func:`~framework.engine.parity.summary`.
        warn: told when MLflow does not take it.

    Returns:
        The folder, and the content of its ``parity.json``.
    """
    began = time.time()
    root = Path(experiment.paths.runs_dir).expanduser().resolve()
    folder = RunFolder(root / FOLDER / f"{experiment.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(began))}")
    environment = describe_environment(Path.cwd())
    losses = {backend: [float(loss) for loss in measured[backend]["step losses"]["steps"]] for backend in BACKENDS}
    found = {
        "format": 1,
        "recipe": experiment.recipe,
        "steps": steps,
        "ok": all(row["ok"] for row in rows),
        "config_digest": config_digest(experiment),
        "data_digest": prepare_experiment(experiment).data.digest,
        "versions": {name: version for name in _LIBRARIES if (version := environment["libraries"].get(name))},
        "hardware": {"platform": environment["platform"], **environment["hardware"]},
        "measured": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "rows": list(rows),
        "losses": losses,
    }
    write_json(folder.path / PARITY, found)
    write_json(folder.environment, environment)
    write_text(folder.path / "report.md", "\n".join([f"# Parity of {experiment.recipe}", "", *parity_table(rows)]) + "\n")
    folder.config.mkdir(exist_ok=True)
    save_resolved(folder.config / "resolved.yaml", resolved(experiment))
    recorder = Recorder(folder.metrics)
    for place, values in enumerate(zip(*losses.values(), strict=True), 1):
        recorder.record(place, float(place), {f"loss/{backend}": loss for backend, loss in zip(losses, values, strict=True)})
    recorder.close()
    folder.update_record(
        status="finished",
        title=f"parity of {experiment.recipe}",
        command="gatework parity",
        parity=parity_tally(rows),
        digest=found["config_digest"],
        data_digest=found["data_digest"],
        started=began,
        ended=time.time(),
    )
    if is_tracked(folder.path) and mlflow_is_installed():
        trouble = sync(folder.path).trouble
        if trouble is not None:
            warn(f"MLflow does not have the comparison yet ({trouble}): gatework sync {folder.path}")
    return folder.path, found
