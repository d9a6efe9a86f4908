"""Where a training stands and what its epoch has come to: the one place that makes an epoch's figures and tells the events."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.objective import Totals
from framework.backends.base.training import Arrays, EpochResult, Position, StepResult, TrainingEvents
from framework.errors import CheckpointError, TrainingError

NAMES = ("loss", "count", "rows", "seconds")
"""What the ledger keeps in a saved state, as ``progress/…``."""


@dataclass(frozen=True)
class _Unread:
    """A step's loss that may still be on its device."""

    position: Position
    loss: SupportsFloat
    count: SupportsFloat


class Ledger:
    """Counts steps and epochs, adds up losses, targets and seconds, and tells of each step and epoch.

    The sums are those of the whole epoch, also where a training was taken up within it. Reading a loss can mean waiting for its device,
    so the losses of several steps are queued here as they are and read together; the sums are the same to the bit.

    The order of calls is :meth:`begin`; then for each epoch :meth:`begin_epoch`, :meth:`add` after each step, :meth:`end_epoch`.

    Attributes:
        position: how far the training has come.
    """

    def __init__(self) -> None:
        self.position = Position()
        self._forget_epoch()

    def begin(self, events: TrainingEvents, start: Position, steps: int, read_every: int = 1) -> None:
        """A training starts, or goes on.

        Args:
            events: who is told.
            start: where; sums that were restored are kept only where they belong to it, within its epoch.
            steps: batches of a whole epoch.
            read_every: steps between two readings of the losses.
        """
        if start.batch == 0:
            self._forget_epoch()
        self.position, self._events, self._steps, self._read_every = start, events, steps, read_every
        events.on_train_begin(start, steps)

    def begin_epoch(self) -> bool:
        """Starts the clock of an epoch, or of the rest of one; True at the beginning of one."""
        fresh = self.position.batch == 0
        if fresh:
            self._forget_epoch()
        self._mark = time.perf_counter()
        return fresh

    def add(self, loss: SupportsFloat, count: SupportsFloat, rows: int, learning_rate: float) -> None:
        """An optimizer step is done.

        Args:
            loss: mean over the batch's targets, penalties left out; a number, or a tensor that is not read before it is due.
            count: sum of the targets' weights, likewise.
            rows: rows of the batch.
            learning_rate: rate that the step used.

        Raises:
            TrainingError: a loss that was read is not finite; the first such step is named.
        """
        before = self.position
        self.position = Position(before.epoch, before.batch + 1, before.step + 1)
        self._unread.append(_Unread(self.position, loss, count))
        self._rows += rows
        due = self.position.step % self._read_every == 0 or self.position.batch == self._steps
        value, counted = self._read() if due else (None, None)
        self._seconds += time.perf_counter() - self._mark
        self._events.on_step(StepResult(self.position, value, counted, rows, learning_rate))
        self._mark = time.perf_counter()

    def end_epoch(self, validation: Totals | None) -> None:
        """An epoch and its validation are done.

        Args:
            validation: what it added up; None where there was none.

        Raises:
            TrainingError: a loss is not finite.
        """
        self._read()
        training = Totals({"loss": self._loss}, self._count, self._rows)
        self.position = Position(self.position.epoch + 1, 0, self.position.step)
        self._events.on_epoch_end(EpochResult(self.position, training, validation, self._seconds))

    @property
    def epoch_complete(self) -> bool:
        """Whether every batch of the epoch is done, and only its end is to be told."""
        return self.position.batch >= self._steps

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What a saved state needs to go on within an epoch.

        Raises:
            TrainingError: a loss that was not read yet is not finite.
        """
        self._read()
        values = (self._loss, self._count, self._rows, self._seconds)
        return {name: np.array(value) for name, value in zip(NAMES, values, strict=True)}

    def restore(self, arrays: Arrays) -> None:
        """Takes back what :meth:`arrays` gave; of nothing, the start of an epoch.

        Some states of earlier versions have no rows, some no seconds: what was spent before is not known then, and the epoch has none (not
        a number).

        Raises:
            CheckpointError: it is nothing that this gave; nothing is changed then.
        """
        given = {name: float(value) for name, value in arrays.items()}
        unknown = [name for name in given if name not in NAMES] or [name for name in NAMES[:2] if given and name not in given]
        if unknown:
            raise CheckpointError(f"the checkpoint's 'progress/{unknown[0]}': expected {', '.join(NAMES)}, each once")
        self._forget_epoch()
        if given:
            self._loss, self._count, self._rows = given["loss"], given["count"], int(given.get("rows", 0))
            self._seconds = given.get("seconds", math.nan if self._count else 0.0)

    def _read(self) -> tuple[float | None, float | None]:
        """Reads what was queued; loss and count of the last step, or nothing where there is nothing new."""
        value = count = None
        while self._unread:
            unread = self._unread.pop(0)
            value, count = float(unread.loss), float(unread.count)
            check_finite(value, unread.position.step)
            self._loss += value * count
            self._count += count
        return value, count

    def _forget_epoch(self) -> None:
        self._loss, self._count, self._rows, self._seconds = 0.0, 0.0, 0, 0.0
        self._unread: list[_Unread] = []


def check_finite(loss: float, step: int) -> None:
    """Stops a training whose loss is no number any more.

    Args:
        loss: of a batch.
        step: number of the optimizer step, counted from 1.

    Raises:
        TrainingError: it names the step.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at step {step:,}: training cannot go on; "
            "a lower optimizer.learning_rate, a schedule with warmup_steps, or trainer.gradient_clip_val=1.0 may help"
        )
