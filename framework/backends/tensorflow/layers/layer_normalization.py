"""Normalizes the last axis."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import functions_of
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
        **functions_of(spec),
        **context.shared(planned),
    )
