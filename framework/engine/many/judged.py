"""By which figure runs are compared, and the best that each of them reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.engine.run.folder import RunFolder
from framework.engine.run.recorder import Record, read_records
from framework.errors import GateworkError
from framework.tasks.monitored import AUTO, Monitored, monitors
from framework.tasks.task import TASKS, Task


@dataclass(frozen=True)
class Reached:
    """The best value of an epoch, which epoch that is, and everything that it measured, by name."""

    value: float
    epoch: int
    figures: Mapping[str, float]


def judged_by(runs: Sequence[RunFolder]) -> Monitored:
    """What all of some runs chose their best epoch by; where they chose by different figures, the loss that all of them have."""
    found = {_monitored(run) for run in runs}
    if len(found) == 1:
        return found.pop()
    return Monitored("val_loss" if runs and all(_validates(run) for run in runs) else "loss")


def reached(records: Sequence[Record], by: Monitored) -> Reached | None:
    """The best of the epochs; None where none has a finite value.

    Args:
        records: of whole epochs.
        by: what counts.
    """
    best: Reached | None = None
    for record in records:
        figures = record.of_epoch
        value = figures.get(by.name, math.nan)
        if math.isfinite(value) and by.improves(value, None if best is None else best.value):
            best = Reached(value, round(record.epoch), figures)
    return best


def task_of_run(run: RunFolder) -> Task | None:
    """The task of a run; None where its record does not tell, or nothing registers it here."""
    import framework.tasks.known  # noqa: F401 - those that come with Gatework make themselves known

    section = _settings(run).get("task")
    try:
        return TASKS.named(section["kind"]) if isinstance(section, dict) and isinstance(section.get("kind"), str) else None
    except GateworkError:
        return None


def _monitored(run: RunFolder) -> Monitored:
    checkpoint = _settings(run).get("trainer", {}).get("checkpoint")
    name = checkpoint.get("monitor") if isinstance(checkpoint, dict) else AUTO
    task = task_of_run(run)
    known = {} if task is None else monitors(task)
    return known.get(str(name)) or Monitored("val_loss" if _validates(run) else "loss")


def _validates(run: RunFolder) -> bool:
    try:
        return any("epoch/val_loss" in record.values for record in read_records(run.metrics, only=b'"epoch/val_loss"'))
    except GateworkError:
        return False


def _settings(run: RunFolder) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = run.read_record().get("settings", {})
    except GateworkError:
        return {}
    return settings
