"""What a lower precision of decoding costs: the loss on text that the model was not trained on, beside that of float32."""

from __future__ import annotations

from dataclasses import dataclass, replace

from framework.data.batches import Batch
from framework.decoding.loss import stepwise_loss
from framework.decoding.precision import Precision
from framework.engine.model.run_data import read_run_data
from framework.engine.run.folder import RunFolder
from framework.errors import InputError
from framework.tasks.model import Model

ROWS, STEPS = 16, 128
"""Of the batch that is measured, at most: a second's work."""


@dataclass(frozen=True)
class PrecisionLoss:
    """What was measured.

    Attributes:
        precision: of the model.
        loss: nats a token.
        float32: the same in float32.
        targets: tokens that count.
        split: the part of the run's data that they are of.
    """

    precision: Precision
    loss: float
    float32: float
    targets: int
    split: str

    def __str__(self) -> str:
        held_out = "held-out tokens" if self.split != "train" else "tokens of the training (nothing is held out)"
        return f"{self.precision}: loss {self.loss:.4f} nats a token on {self.targets:,} {held_out}; float32 {self.float32:.4f}"


def precision_loss(model: Model, folder: RunFolder, runs_dir: str) -> PrecisionLoss:
    """Measures a model in its own precision and in float32, on the first batch of what its run held out.

    Args:
        model: opened with a precision.
        folder: of its run.
        runs_dir: folder of all runs of the user.

    Raises:
        GateworkError: the run's data is not at hand, or the model is not decoded.
    """
    if model.decoded is None:
        raise InputError(f"a model of task '{model.experiment.task.kind}' is not decoded step by step")
    data = read_run_data(folder, model.experiment, model.processor, {}, runs_dir, "gatework generate").data
    split = "train" if data.validation is None else "validation"
    batch = _part(next(iter(data.split(split).epoch(0))), model.decoded)
    loss, plain = (
        stepwise_loss(one.stepper, batch.inputs, model.decoded, batch.targets, batch.weights)
        for one in (model, replace(model, precision="float32"))
    )
    counted = batch.targets.size if batch.weights is None else int((batch.weights > 0).sum())
    return PrecisionLoss(model.precision, loss, plain, counted, split)


def _part(batch: Batch, decoded: str) -> Batch:
    """The first rows and steps of a batch."""
    inputs = {name: value[:ROWS, :STEPS] if name == decoded else value[:ROWS] for name, value in batch.inputs.items()}
    weights = None if batch.weights is None else batch.weights[:ROWS, :STEPS]
    return Batch(inputs, batch.targets[:ROWS, :STEPS], weights)
