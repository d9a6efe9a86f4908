"""Run folders as the engine writes them, without training."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.config.saved import dump_yaml, save_resolved
from framework.engine.run.digest import resolved
from framework.engine.run.lock import RunLock
from framework.engine.run.recorder import Recorder
from framework.spec.experiment import Experiment
from framework.tracking.follow import Follower, follow
from framework.tracking.outbox import Outbox

RECIPE = ["data=python_source", "debug=small", "model.layers.gru.units=8"]


class RunOnDisk:
    """A run's folder, written to as a run does."""

    def __init__(self, path: Path, experiment: Experiment) -> None:
        self.path = path
        self.experiment = experiment
        self.recorder = Recorder(path / "metrics.jsonl")
        self.record: dict[str, Any] = {
            "format": 1,
            "status": "running",
            "backend": "torch",
            "digest": "d" * 64,
            "data_digest": "e" * 64,
            "data_source": "corpus python_source",
            "settings": resolved(experiment),
            "parameters": 4321,
            "started": 1_700_000_000.5,
        }
        (path / "config").mkdir(parents=True, exist_ok=True)
        self.write_config()
        self.update()

    def write_config(self) -> None:
        save_resolved(self.path / "config" / "resolved.yaml", resolved(self.experiment))
        (self.path / "config" / "overrides.yaml").write_text(dump_yaml(["recipe=text_generation", *RECIPE]))
        (self.path / "config" / "composed.yaml").write_text(dump_yaml(resolved(self.experiment)))

    def update(self, **changes: Any) -> None:
        self.record.update(changes)
        (self.path / "run.json").write_text(json.dumps(self.record))

    def measure(self, first: int, last: int) -> None:
        """Two values for each step from first to last."""
        for step in range(first, last + 1):
            self.recorder.record(step, step / 100, {"loss": 5.0 / step, "learning_rate": 1e-3})

    def sample(self, epoch: int) -> None:
        folder = self.path / "samples"
        folder.mkdir(exist_ok=True)
        (folder / f"epoch-{epoch:04d}.txt").write_text(f"sample of epoch {epoch}")

    def recorded(self, name: str = "metrics.jsonl") -> list[tuple[str, float, int, int]]:
        """Every value in the folder: (name, value, milliseconds, step), sorted."""
        found = []
        for line in (self.path / name).read_text().splitlines():
            record = json.loads(line)
            for key, value in record["values"].items():
                found.append((key, value, round(record["time"] * 1000), record["step"]))
        return sorted(found)

    def note(self) -> dict[str, Any]:
        """`tracking.json`; empty before there is one."""
        path = self.path / "tracking.json"
        note: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return note

    def end(self, box: Outbox, status: str, error: str | None = None, ended: float | None = None) -> None:
        """The run ends, and the outbox sees it."""
        self.update(status=status, error=error, ended=ended or time.time())
        box.settle()

    def go_on(self, box: Outbox) -> None:
        """The run is trained again."""
        self.update(status="running", error=None)
        box.begin(None)


class Training:
    """A run in training that is followed, as the engine has it: its lock is held, and let go before the follower is waited for."""

    def __init__(self, run: RunOnDisk, warn: Callable[[str], None]) -> None:
        self.run = run
        self._lock: RunLock | None = RunLock(run.path).__enter__()
        self.follower: Follower | None = follow(run.path, run.experiment.tracking, warn)

    def finish(self, status: str = "finished") -> None:
        """The training ends in order."""
        self.run.update(status=status, ended=time.time())
        self.close()

    def close(self) -> None:
        """It ends, without a word if :meth:`finish` said none."""
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None
            if self.follower is not None:
                self.follower.wait()


@contextmanager
def training(run: RunOnDisk, warn: Callable[[str], None]) -> Iterator[Training]:
    """A run in training; ends with the context."""
    found = Training(run, warn)
    try:
        yield found
    finally:
        found.close()
