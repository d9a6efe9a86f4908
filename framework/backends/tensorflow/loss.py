"""The losses that a model can be trained with on TensorFlow, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from framework.backends.base.objective import Objective, refuse_shapes


class Loss(NamedTuple):
    """The loss of a batch.

    Attributes:
        mean: weighted mean over its targets, a scalar; for ``cross_entropy`` in nats a token.
        weight: sum of the weights of its targets.
    """

    mean: tf.Tensor
    weight: tf.Tensor


def batch_loss(
    objective: Objective, output: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None, dtype: str, smooth: bool = False
) -> Loss:
    """The loss of one batch.

    Where weights are given they alone decide how much each target counts; else the output's mask says which do, and without one all do.

    Args:
        objective: which loss.
        output: what the model gives: logits ``(batch, time, classes)`` or ``(batch, classes)``, or numbers in the shape of ``targets``.
        targets: ``(batch, time) int`` or ``(batch,) int``; floating-point numbers for ``squared_error``.
        weights: how much each target counts, in the shape of ``targets``.
        dtype: data type of the loss; never bfloat16.
        smooth: whether labels are smoothed as the objective says; an evaluation's are not.

    Raises:
        InputError: the shapes of output and targets do not fit.

    Source: Keras 3, ``keras.losses``; but a weighted mean is divided by the sum of its weights.
    """
    losses = _LOSSES[objective.kind](tf.cast(output, dtype), targets, objective.label_smoothing if smooth else 0.0)
    counted = counted_targets(output, targets, weights)
    if counted is None:
        count = tf.cast(tf.size(losses), dtype)
    elif weights is None:
        # A masked step may hold anything, even what makes its loss infinite: it is left out, not multiplied by zero.
        losses, count = tf.where(counted, losses, tf.zeros_like(losses)), tf.reduce_sum(tf.cast(counted, dtype))
    else:
        held = tf.cast(counted, dtype)
        losses, count = tf.where(held == 0, tf.zeros_like(losses), losses * held), tf.reduce_sum(held)
    return Loss(tf.math.divide_no_nan(tf.reduce_sum(losses), count), count)


def batch_sums(objective: Objective, output: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None, dtype: str) -> dict[str, tf.Tensor]:
    """What one batch adds to the totals of an evaluation: ``loss``, for classes ``correct``, and ``count``; float64 scalars."""
    loss = batch_loss(objective, output, targets, weights, dtype)
    count = tf.cast(loss.weight, tf.float64)
    sums = {"loss": tf.cast(loss.mean, tf.float64) * count, "count": count}
    if objective.kind == "cross_entropy":
        hits = tf.cast(tf.argmax(output, -1, output_type=targets.dtype) == targets, tf.float64)
        counted = counted_targets(output, targets, weights)
        sums["correct"] = tf.reduce_sum(hits if counted is None else hits * tf.cast(counted, tf.float64))
    return sums


def counted_targets(output: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor | None:
    """How much each target counts, in the targets' shape; None where all do alike."""
    if weights is not None:
        return weights
    mask = getattr(output, "_keras_mask", None)
    return mask if mask is not None and mask.shape.rank == targets.shape.rank else None


def keras_loss(objective: Objective, precision: str) -> keras.losses.Loss:
    """The nearest that Keras itself has, which a native model is compiled with for use in loops of one's own.

    Args:
        objective: which loss.
        precision: ``32-true``, ``64-true`` or ``bf16-mixed``.
    """
    dtype = loss_dtype(precision)
    if objective.kind == "squared_error":
        return keras.losses.MeanSquaredError(dtype=dtype)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)


def loss_dtype(precision: str) -> str:
    """Data type of the loss by the precision of the training."""
    return "float64" if precision == "64-true" else "float32"


def _cross_entropy(logits: tf.Tensor, targets: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Sparse categorical cross-entropy from logits, in nats, in the shape of ``targets``."""
    if logits.shape.rank != targets.shape.rank + 1:
        raise refuse_shapes("cross_entropy", logits.shape, targets.shape)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    if not smoothing:
        return losses
    spread = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
    return (1.0 - smoothing) * losses + smoothing * spread


def _squared_error(output: tf.Tensor, targets: tf.Tensor, smoothing: float) -> tf.Tensor:
    if output.shape.rank == targets.shape.rank + 1:
        output = tf.squeeze(output, -1)
    if output.shape.rank != targets.shape.rank:
        raise refuse_shapes("squared_error", output.shape, targets.shape)
    return tf.math.squared_difference(output, tf.cast(targets, output.dtype))


_LOSSES: dict[str, Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]] = {"cross_entropy": _cross_entropy, "squared_error": _squared_error}
