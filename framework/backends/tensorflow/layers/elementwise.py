"""Kinds that keep the shape: dropout, masking, activation, layer_normalization."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import activation, constraint, initializer, regularizer
from framework.backends.tensorflow.layers.dropout import Dropout
from framework.backends.tensorflow.layers.registry import BuildContext, builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import ActivationSpec, DropoutSpec, LayerNormalizationSpec, MaskingSpec


@builds("dropout")
def build_dropout(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Zeroes a fraction of the values in training."""
    spec = cast(DropoutSpec, planned.spec)
    return Dropout(spec.rate, seed=context.seed_of(planned.name, spec.seed), **context.shared(planned))


@builds("masking")
def build_masking(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Masks the steps of ``(batch, time, features)`` that hold ``mask_value`` alone."""
    return keras.layers.Masking(cast(MaskingSpec, planned.spec).mask_value, **context.shared(planned))


@builds("activation")
def build_activation(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Applies an activation."""
    return keras.layers.Activation(activation(cast(ActivationSpec, planned.spec).activation), **context.shared(planned))


@builds("layer_normalization")
def build_layer_normalization(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Normalizes the last axis."""
    spec = cast(LayerNormalizationSpec, planned.spec)
    return keras.layers.LayerNormalization(
        axis=-1,
        epsilon=spec.epsilon,
        center=spec.center,
        scale=spec.scale,
        beta_initializer=initializer(spec.beta_initializer),
        gamma_initializer=initializer(spec.gamma_initializer),
        beta_regularizer=regularizer(spec.beta_regularizer),
        gamma_regularizer=regularizer(spec.gamma_regularizer),
        beta_constraint=constraint(spec.beta_constraint),
        gamma_constraint=constraint(spec.gamma_constraint),
        **context.shared(planned),
    )
