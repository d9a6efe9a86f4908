"""Attention of a sequence of queries over a memory, and the weights that every attending layer has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from framework.backends.base.scoring import Scoring
from framework.backends.tensorflow.attention.memory import Memory, asked_of, attend
from framework.backends.tensorflow.identifiers import functions_of
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.attention import AttentionSpec, AttentionVectorSpec, ScoreSpec


def matrix(spec: ScoreSpec | AttentionVectorSpec, name: str, width: int, units: int, bias: bool, dtype: Any) -> keras.layers.Dense:
    """A matrix of a score, or of attention vectors, as the dense layer that publications write for it."""
    dense = keras.layers.Dense(
        units,
        use_bias=bias,
        **functions_of(spec),
        name=name,
        dtype=dtype,
    )
    dense.build((None, width))
    return dense


def matrix_values(dense: keras.layers.Dense | keras.layers.EinsumDense, dtype: str) -> dict[str, tf.Tensor]:
    """``kernel`` and, if there is one, ``bias``, in a data type."""
    values = {"kernel": tf.cast(dense.kernel.value, dtype)}
    return values if dense.bias is None else {**values, "bias": tf.cast(dense.bias.value, dtype)}


@keras.saving.register_keras_serializable(package="gatework")
class Score(keras.layers.Layer):  # type: ignore[misc]
    """The weights of an attention's score.

    Args:
        spec: of the score, or its config.
    """

    def __init__(self, spec: ScoreSpec | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec if isinstance(spec, ScoreSpec) else ScoreSpec.model_validate(spec)
        self.matrices: list[str] = []

    def build(self, width: int, features: int) -> None:
        """Creates the weights for queries of a width and a memory of so many features."""
        spec, bias = self.spec, self.spec.use_bias
        units = width if spec.units is None else cast(int, spec.units)
        if spec.kind == "additive":
            parts = [("query", width, units, bias), ("memory", features, units, bias), ("score", units, 1, bias)]
        elif spec.kind == "concat":
            parts = [("concat", width + features, units, bias), ("score", units, 1, False)]
        else:
            parts = [("memory", features, width, False)] if spec.kind == "general" else []
        for name, rows, columns, biased in parts:
            setattr(self, f"{name}_matrix", matrix(spec, name, rows, columns, biased, self.dtype_policy))
            self.matrices.append(name)
        self.built = True

    def scoring(self, width: int, dtype: str) -> Scoring:
        """The weights in one form, for queries of a width."""
        values = {name: matrix_values(getattr(self, f"{name}_matrix"), dtype) for name in self.matrices}
        flat = {f"{name}/{weight}": value for name, inner in values.items() for weight, value in inner.items()}
        return Scoring.of(self.spec, flat, width)

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again."""
        return {**super().get_config(), "spec": self.spec.model_dump(mode="json")}


@keras.saving.register_keras_serializable(package="gatework")
class Attention(keras.layers.Layer):  # type: ignore[misc]
    """For each query the mean of the memory's places, weighted by the softmax of their scores.

    Called with queries ``(batch, time, width)`` and ``memory: (batch, places, features)``; returns contexts ``(batch, time, features)``
    and the weights ``(batch, time, places)``.

    Args:
        score: how places are scored, or its config.
        mask_memory: whether masked places are left out.
    """

    def __init__(self, score: ScoreSpec | Mapping[str, Any], mask_memory: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention = Score(score, name="attention", dtype=self.dtype_policy)
        self.mask_memory = mask_memory
        self.supports_masking = True

    def build(self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None]) -> None:
        """Creates the weights."""
        self.attention.build(cast(int, inputs_shape[-1]), cast(int, memory_shape[-1]))
        self.built = True

    def call(self, inputs: tf.Tensor, memory: tf.Tensor, inputs_mask: Any = None, memory_mask: Any = None) -> list[tf.Tensor]:
        """Contexts and weights."""
        scoring = self.attention.scoring(inputs.shape[-1], self.compute_dtype)
        held = Memory.of(memory, memory_mask if self.mask_memory else None, scoring)
        return list(attend(asked_of(inputs, scoring), held, scoring))

    def compute_output_shape(self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None]) -> list[Any]:
        """Shapes of contexts and weights."""
        return [(*inputs_shape[:2], memory_shape[2]), (*inputs_shape[:2], memory_shape[1])]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> list[Any]:
        """The queries' mask."""
        return [previous_mask, previous_mask]

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again."""
        return {**super().get_config(), "score": self.attention.spec.model_dump(mode="json"), "mask_memory": self.mask_memory}


@builds("attention")
def build_attention(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, time, width)`` to contexts ``(batch, time, features)`` and weights ``(batch, time, places)``."""
    spec = cast(AttentionSpec, planned.spec)
    return Attention(spec.attention, spec.mask_memory, **context.shared(planned))
