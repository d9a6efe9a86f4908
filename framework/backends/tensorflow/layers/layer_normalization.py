"""Normalizes the last axis."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import constraint, initializer, regularizer
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import LayerNormalizationSpec


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
