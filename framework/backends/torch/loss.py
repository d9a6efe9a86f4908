"""The losses that a model can be trained with on torch, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from framework.backends.base.objective import Objective, Totals, refuse_shapes
from framework.backends.torch.signal import Signal
from framework.errors import InputError


class Loss(NamedTuple):
    """The loss of a batch.

    Attributes:
        mean: weighted mean over its targets, a scalar; for ``cross_entropy`` in nats a token.
        weight: sum of the weights of its targets.
    """

    mean: Tensor
    weight: Tensor | int


def batch_loss(objective: Objective, output: Signal, targets: Tensor, weights: Tensor | None = None, smooth: bool = False) -> Loss:
    """The loss of one batch.

    Where weights are given they alone decide how much each target counts; else the output's mask says which do, and without one all do.

    Args:
        objective: which loss.
        output: what the model gives: logits ``(batch, time, classes)`` or ``(batch, classes)``, or numbers in the shape of ``targets``.
        targets: ``(batch, time) int`` or ``(batch,) int``; floating-point numbers for ``squared_error``.
        weights: how much each target counts, in the shape of ``targets``.
        smooth: whether labels are smoothed as the objective says; an evaluation's are not.

    Raises:
        InputError: the shapes of output, targets and weights do not fit.

    Source: Keras 3, ``keras.losses``; but a weighted mean is divided by the sum of its weights.
    """
    if weights is not None and weights.shape != targets.shape:
        raise InputError(f"the weights have the shape {tuple(weights.shape)} and the targets {tuple(targets.shape)}; they must be alike")
    counted = _counted(output, targets, weights)
    smoothing = objective.label_smoothing if smooth else 0.0
    losses = _LOSSES[objective.kind](_in_full(output.value), targets, smoothing, "mean" if counted is None else "none")
    if counted is None:
        return Loss(losses, targets.numel())
    if weights is None:
        # A masked step may hold anything, even what makes its loss infinite: it is left out, not multiplied by zero.
        losses, count = losses.masked_fill(~counted, 0.0), counted.sum().to(losses.dtype)
    else:
        held = weights.to(losses.dtype)
        losses, count = (losses * held).masked_fill(held == 0, 0.0), held.sum()
    return Loss(losses.sum() / torch.where(count > 0, count, torch.ones_like(count)), count)


class RunningTotals:
    """Sums over the batches of an evaluation, kept on the device, so that adding does not wait for it."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._sums: dict[str, Tensor | float] = {}
        self._count: Tensor | float = 0
        self._rows = 0

    def add(self, output: Signal, targets: Tensor, weights: Tensor | None) -> None:
        """Adds one batch."""
        loss = batch_loss(self.objective, output, targets, weights)
        self._add("loss", loss.mean.detach().double() * loss.weight)
        if self.objective.kind == "cross_entropy":
            hits, counted = (output.value.argmax(-1) == targets).double(), _counted(output, targets, weights)
            self._add("correct", (hits if counted is None else hits * counted).sum())
        self._count = self._count + loss.weight
        self._rows += len(targets)

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    def value(self) -> Totals:
        """What came together; reads it from the device."""
        return Totals({name: float(total) for name, total in self._sums.items()}, float(self._count), self._rows)


def _counted(output: Signal, targets: Tensor, weights: Tensor | None) -> Tensor | None:
    """How much each target counts, in the targets' shape; None where all do alike."""
    if weights is not None:
        return weights
    return output.mask if output.mask is not None and output.mask.shape == targets.shape else None


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, reduction: str) -> Tensor:
    """Sparse categorical cross-entropy from logits, in nats."""
    if logits.shape[:-1] != targets.shape:
        raise refuse_shapes("cross_entropy", logits.shape, targets.shape)
    flat, wanted = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).to(torch.int64)
    losses = functional.cross_entropy(flat, wanted, reduction=reduction, label_smoothing=smoothing)
    return losses if reduction == "mean" else losses.view(targets.shape)


def _squared_error(output: Tensor, targets: Tensor, smoothing: float, reduction: str) -> Tensor:
    if output.shape == (*targets.shape, 1):
        output = output[..., 0]
    if output.shape != targets.shape:
        raise refuse_shapes("squared_error", output.shape, targets.shape)
    return functional.mse_loss(output, targets.to(output.dtype), reduction=reduction)


_LOSSES: dict[str, Callable[[Tensor, Tensor, float, str], Tensor]] = {"cross_entropy": _cross_entropy, "squared_error": _squared_error}


def _in_full(value: Tensor) -> Tensor:
    """Losses are computed in float32 or float64."""
    return value if value.dtype in (torch.float32, torch.float64) else value.float()
