"""Attention with several heads."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from framework.spec.base import Dimension
from framework.spec.identifiers import Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, layer_kind


@layer_kind("multi_head_attention")
class MultiHeadAttentionSpec(LayerSpec):
    """Scaled dot products of queries and a memory, each projected for several heads, and one projection of all heads' contexts.

    Reads queries ``(batch, time, width)`` and the memory ``(batch, places, features)``, which gives keys and values; gives ``(batch, time,
    output_shape)``; ``name.attention`` are the weights ``(batch, time, places)``, the mean of all heads.

    Source: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.2; Keras documentation, "MultiHeadAttention layer".
    """

    reference_fields: ClassVar[tuple[str, ...]] = ("inputs", "memory")
    outputs: ClassVar[tuple[str, ...]] = ("output", "attention")

    kind: Literal["multi_head_attention"] = "multi_head_attention"

    memory: str
    """Layer that gives the places attended to, ``(batch, places, features)``: Keras' ``value`` and ``key``."""

    num_heads: Dimension
    """Number of heads."""

    key_dim: Dimension
    """Width of a head's queries and keys."""

    value_dim: Dimension | None = None
    """Width of a head's values; that of its keys when not given."""

    dropout: float = Field(0.0, ge=0.0, le=1.0)
    """Fraction of the weights to drop in training."""

    use_bias: bool = True
    """Whether the four projections have a bias."""

    output_shape: Dimension | None = None
    """Width of the output; that of the queries when not given."""

    kernel_initializer: Initializer | None = Identifier(class_name="glorot_uniform")
    """Initializer of the matrices."""

    bias_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of the biases."""

    kernel_regularizer: Regularizer | None = None
    """Penalty on each matrix."""

    bias_regularizer: Regularizer | None = None
    """Penalty on each bias."""

    kernel_constraint: Constraint | None = None
    """Constraint on each matrix, applied after each optimizer step."""

    bias_constraint: Constraint | None = None
    """Constraint on each bias, applied after each optimizer step."""

    seed: int | None = None
    """Seed of the layer's dropout; derived from the run's seed when not given."""

    mask_memory: bool = True
    """Whether masked places of the memory are left out; false: padding is attended to as well."""
