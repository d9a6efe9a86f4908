"""Attention with several heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from framework.backends.tensorflow.attention.heads import heads_memory, heads_output, heads_weights
from framework.backends.tensorflow.identifiers import functions_of
from framework.backends.tensorflow.layers.attention import matrix_values
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.dropout import Dropout
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec

PROJECTIONS = ("query", "key", "value", "attention_output")
"""In the order of Keras' layer."""


@keras.saving.register_keras_serializable(package="gatework")
class MultiHeadAttention(keras.layers.Layer):  # type: ignore[misc]
    """Scaled dot products of queries and a memory, each projected for several heads; weights as ``keras.layers.MultiHeadAttention`` has.

    Called with queries ``(batch, time, width)`` and ``memory: (batch, places, features)``; returns the output ``(batch, time,
    output_shape)`` and the mean of the heads' weights ``(batch, time, places)``. Its dropout drops what torch's drops, and only the
    memory's mask counts: what masked queries give is nobody's.

    Args:
        spec: everything, sizes and seed filled in; or its config.
    """

    def __init__(self, spec: MultiHeadAttentionSpec | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec if isinstance(spec, MultiHeadAttentionSpec) else MultiHeadAttentionSpec.model_validate(spec)
        self.projections: list[keras.layers.EinsumDense] = []
        self.dropping = Dropout(self.spec.dropout, seed=self.spec.seed, dtype=self.dtype_policy) if self.spec.dropout else None
        self.supports_masking = True

    def build(self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None]) -> None:
        """Creates the weights."""
        spec = self.spec
        heads, key_dim, value_dim = spec.num_heads, spec.key_dim, spec.value_dim or spec.key_dim
        output = spec.output_shape or inputs_shape[-1]
        widths = [(inputs_shape, key_dim), (memory_shape, key_dim), (memory_shape, value_dim)]
        for name, (shape, width) in zip(PROJECTIONS, widths, strict=False):
            self._add(name, "btf,fhd->bthd", (None, heads, width), "hd", shape)
        self._add("attention_output", "bthd,hdo->bto", (None, output), "o", (None, None, heads, value_dim))
        self.built = True

    def _add(self, name: str, equation: str, output_shape: Any, bias_axes: str, shape: Any) -> None:
        spec = self.spec
        projection = keras.layers.EinsumDense(
            equation,
            output_shape,
            bias_axes=bias_axes if spec.use_bias else None,
            **functions_of(spec),
            name=name,
            dtype=self.dtype_policy,
        )
        projection.build(tuple(shape))
        self.projections.append(projection)

    def call(
        self, inputs: tf.Tensor, memory: tf.Tensor, inputs_mask: Any = None, memory_mask: Any = None, training: Any = None
    ) -> list[tf.Tensor]:
        """The output and the weights."""
        values = {
            f"{name}/{weight}": value
            for name, projection in zip(PROJECTIONS, self.projections, strict=True)
            for weight, value in matrix_values(projection, self.compute_dtype).items()
        }
        held = heads_memory(memory, memory_mask if self.spec.mask_memory else None, values)
        weights = heads_weights(inputs, held, values)
        kept = weights if self.dropping is None else self.dropping(weights, training=training)
        return [heads_output(kept, held, values), tf.reduce_mean(weights, axis=1)]

    def compute_output_shape(self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None]) -> list[Any]:
        """Shapes of output and weights."""
        return [(*inputs_shape[:2], self.spec.output_shape or inputs_shape[2]), (*inputs_shape[:2], memory_shape[1])]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> list[Any]:
        """The queries' mask."""
        return [previous_mask, previous_mask]

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again."""
        return {**super().get_config(), "spec": self.spec.model_dump(mode="json")}


@builds("multi_head_attention")
def build_multi_head_attention(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, time, width)`` to ``(batch, time, output_shape)`` and weights ``(batch, time, places)``."""
    spec = cast(MultiHeadAttentionSpec, planned.spec)
    seed = context.seed_of(planned.name, spec.seed)
    return MultiHeadAttention(spec.model_copy(update={"seed": seed}), **context.shared(planned))
