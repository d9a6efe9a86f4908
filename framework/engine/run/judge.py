"""Judges epochs by what is monitored: which is the best, and when to stop early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from framework.engine.run.checkpoint import Progress
from framework.errors import TrainingError
from framework.spec.trainer import TrainerSpec
from framework.tasks.monitored import Monitored, best_by, stopped_by
from framework.tasks.task import Task


class Judge:
    """Knows what makes an epoch better than those before. What it has seen so far is kept in the training's progress.

    Args:
        trainer: settings of checkpoints and early stopping, checked.
        task: what is trained for.
        validates: whether there is validation.

    Attributes:
        best: what decides which checkpoint is the best.
    """

    def __init__(self, trainer: TrainerSpec, task: Task, validates: bool) -> None:
        self.best = best_by(task, trainer, validates)
        self._stopping = trainer.early_stopping
        self._stopped_by = stopped_by(task, trainer)

    def judged(self, progress: Progress, values: Mapping[str, float], epoch: int) -> Progress:
        """How far the training has come once an epoch's values are known.

        Args:
            progress: before.
            values: of the epoch, by name; those of a validation only where there was one.
            epoch: its number, counted from 1; ``best_epoch`` is that where it is the best so far.

        Raises:
            TrainingError: there was a validation, and it gave no value of a monitored name.
        """
        value = _value(self.best, values)
        if value is not None and self.best.improves(value, progress.best):
            progress = replace(progress, best=value, best_epoch=epoch)
        stopping, monitored = self._stopping, self._stopped_by
        if stopping is None or monitored is None or (value := _value(monitored, values)) is None:
            return progress
        if monitored.improves(value, progress.stopping_best, stopping.min_delta):
            return replace(progress, stopping_best=value, waited=0)
        return replace(progress, waited=progress.waited + 1)

    def has_stopped(self, progress: Progress) -> bool:
        """Whether early stopping has ended the training."""
        return self._stopping is not None and progress.waited > 0 and progress.waited >= self._stopping.patience


def _value(monitored: Monitored, values: Mapping[str, float]) -> float | None:
    """The epoch's value; None where nothing was validated that it could be taken of."""
    value = values.get(monitored.name)
    if value is None and "val_loss" in values:
        raise TrainingError(f"the validation gave no {monitored.name}, which is monitored; it gave {', '.join(values)}")
    return value
