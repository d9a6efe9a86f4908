"""The loss of a token model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from framework.builder.plan import ModelPlan


def token_loss(precision: str) -> keras.losses.Loss:
    """Cross-entropy in nats, the mean over batch and time.

    Called with ``targets: (batch, time) int``, ``logits: (batch, time, vocabulary)`` and, where targets do not count alike,
    ``sample_weight: (batch, time)``. A mask of the logits leaves masked targets out of the mean; weights multiply, and the mean is still
    over all targets.

    Args:
        precision: ``32-true``, ``64-true`` or ``bf16-mixed``; the loss itself is never computed in bfloat16.

    Source: Keras documentation, "SparseCategoricalCrossentropy".
    """
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64" if precision == "64-true" else "float32")


def trained_output(plan: ModelPlan) -> str:
    """Name of the output that the loss reads: the one called ``output``, or the first."""
    return "output" if "output" in plan.outputs else next(iter(plan.outputs))


def output_of(result: Any, name: str) -> tf.Tensor:
    """One output of a native model by name."""
    return result[name] if isinstance(result, dict) else result
