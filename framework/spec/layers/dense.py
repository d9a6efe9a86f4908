"""A product with a matrix over the last axis."""

from __future__ import annotations

from typing import Literal

from framework.spec.base import Dimension
from framework.spec.identifiers import Activation, Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, layer_kind


@layer_kind("dense")
class DenseSpec(LayerSpec):
    """``activation(x · kernel + bias)``. Reads ``(batch, …, features)``, gives ``(batch, …, units)``.

    Source: Keras documentation, "Dense layer".
    """

    kind: Literal["dense"] = "dense"

    units: Dimension
    """Length of the last axis of the output."""

    activation: Activation | None = None
    """Activation of the output; null is linear."""

    use_bias: bool = True
    """Whether the layer has a bias."""

    kernel_initializer: Initializer | None = Identifier(class_name="glorot_uniform")
    """Initializer of the matrix."""

    bias_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of the bias."""

    kernel_regularizer: Regularizer | None = None
    """Penalty on the matrix."""

    bias_regularizer: Regularizer | None = None
    """Penalty on the bias."""

    activity_regularizer: Regularizer | None = None
    """Penalty on the layer's output."""

    kernel_constraint: Constraint | None = None
    """Constraint on the matrix, applied after each optimizer step."""

    bias_constraint: Constraint | None = None
    """Constraint on the bias, applied after each optimizer step."""
