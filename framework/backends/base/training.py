"""The seam between the engine and a backend's own trainer: one plan of training in, one stream of events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.objective import Totals
from framework.backends.base.processes import Alone, Processes
from framework.data.batches import Batches
from framework.spec.optimizer import OptimizerSpec
from framework.spec.trainer import TrainerSpec

Arrays = Mapping[str, NDArray[np.generic]]
"""Named arrays: weights, optimizer slots, recurrent states."""


@dataclass(frozen=True)
class Position:
    """How far a training has come.

    Attributes:
        epoch: whole epochs done.
        batch: batches done in the epoch after them.
        step: optimizer steps done since the start.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0


@dataclass(frozen=True)
class StepResult:
    """What one training step gave.

    Attributes:
        position: after the step.
        loss: mean over the batch, in nats a token for cross-entropy, penalties left out; None where it was not read back from the device.
        count: sum of the targets' weights in the batch: the number of targets where all count alike; None where it was not read back.
        rows: rows of the batch.
        learning_rate: rate that the step used.
    """

    position: Position
    loss: float | None
    count: float | None
    rows: int
    learning_rate: float


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave.

    Attributes:
        position: after the epoch (``batch`` is 0).
        training: sums over the epoch's batches, as the model was at each step.
        validation: sums over the validation's batches; None without validation this epoch.
        seconds: duration of the epoch's training steps; validation and samples are not counted. Not a number where a part of the epoch
            was trained before that was kept.
    """

    position: Position
    training: Totals
    validation: Totals | None
    seconds: float

    @property
    def loss(self) -> float:
        """Mean loss of the training, in nats a token for cross-entropy."""
        return self.training.loss

    @property
    def val_loss(self) -> float | None:
        """Mean loss of the validation; None without one this epoch."""
        return None if self.validation is None else self.validation.loss


class TrainingEvents(Protocol):
    """What a backend's trainer tells; implemented by the engine. Both backends call these in the same order.

    Order: ``on_train_begin``, then for each epoch ``on_step`` after every step and ``on_epoch_end`` once validation is done.
    Asking ``should_stop`` is the trainer's duty after every call of ``on_step`` and ``on_epoch_end``.
    """

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        """Training starts or goes on from ``position``."""

    def on_step(self, result: StepResult) -> None:
        """An optimizer step is done; ``state()`` of the trainee may be taken here."""

    def on_epoch_end(self, result: EpochResult) -> None:
        """An epoch and its validation are done; ``state()`` of the trainee may be taken here."""

    @property
    def should_stop(self) -> bool:
        """Whether training must end now (early stopping, a signal, a limit)."""
        ...


@dataclass(frozen=True)
class Training:
    """Everything that a backend's trainer needs.

    Attributes:
        trainer: epochs, precision, clipping.
        optimizer: kind and constants.
        learning_rate: rate by optimizer step, counted from 0.
        train: batches to train on, already limited to those that the trainer's settings allow.
        validation: batches to validate on, likewise, or None.
        start: where to begin.
        reset_states_each_epoch: whether stateful layers start each epoch from zeros. Validation always runs from zeros and
            leaves the training states as they were.
        processes: that train together; ``train`` and ``validation`` are this one's rows then.
    """

    trainer: TrainerSpec
    optimizer: OptimizerSpec
    learning_rate: Callable[[int], float]
    train: Batches
    validation: Batches | None
    start: Position
    reset_states_each_epoch: bool
    processes: Processes = field(default_factory=Alone)
