"""A product with a matrix."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import activation, functions_of
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.dense import DenseSpec


@builds("dense")
def build_dense(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, …, features)`` to ``(batch, …, units)``."""
    spec = cast(DenseSpec, planned.spec)
    return keras.layers.Dense(
        units=spec.units,
        activation=activation(spec.activation),
        use_bias=spec.use_bias,
        **functions_of(spec),
        **context.shared(planned),
    )
