"""Kinds that keep the shape of what they read: dropout, masking, activation, layer_normalization."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.spec.identifiers import Activation, Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, layer_kind


@layer_kind("dropout")
class DropoutSpec(LayerSpec):
    """Zeroes a fraction of the values in training and scales the rest up.

    Source: Keras documentation, "Dropout layer".
    """

    kind: Literal["dropout"] = "dropout"

    rate: float = Field(ge=0.0, le=1.0)
    """Fraction of the values to drop."""

    seed: int | None = None
    """Seed of the layer's random numbers; derived from the run's seed when not given."""


@layer_kind("masking")
class MaskingSpec(LayerSpec):
    """Masks the steps whose every value equals ``mask_value``. Reads and gives ``(batch, time, features)``.

    Source: Keras documentation, "Masking layer".
    """

    kind: Literal["masking"] = "masking"

    mask_value: float = 0.0
    """A step with this value in every place is skipped by the layers above."""


@layer_kind("activation")
class ActivationSpec(LayerSpec):
    """Applies an activation. Source: Keras documentation, "Activation layer"."""

    kind: Literal["activation"] = "activation"

    activation: Activation
    """Name of the activation."""


@layer_kind("layer_normalization")
class LayerNormalizationSpec(LayerSpec):
    """Normalizes the last axis to mean 0 and variance 1, then scales and shifts it.

    Source: Ba et al. 2016, "Layer Normalization"; Keras documentation, "LayerNormalization layer".
    """

    kind: Literal["layer_normalization"] = "layer_normalization"

    epsilon: float = Field(1e-3, gt=0.0)
    """Added to the variance."""

    center: bool = True
    """Whether a bias (``beta``) is added."""

    scale: bool = True
    """Whether the result is multiplied by ``gamma``."""

    beta_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of ``beta``."""

    gamma_initializer: Initializer | None = Identifier(class_name="ones")
    """Initializer of ``gamma``."""

    beta_regularizer: Regularizer | None = None
    """Penalty on ``beta``."""

    gamma_regularizer: Regularizer | None = None
    """Penalty on ``gamma``."""

    beta_constraint: Constraint | None = None
    """Constraint on ``beta``, applied after each optimizer step."""

    gamma_constraint: Constraint | None = None
    """Constraint on ``gamma``, applied after each optimizer step."""
