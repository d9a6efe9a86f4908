"""A product with a matrix."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import activation, constraint, initializer, regularizer
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
        kernel_initializer=initializer(spec.kernel_initializer),
        bias_initializer=initializer(spec.bias_initializer),
        kernel_regularizer=regularizer(spec.kernel_regularizer),
        bias_regularizer=regularizer(spec.bias_regularizer),
        activity_regularizer=regularizer(spec.activity_regularizer),
        kernel_constraint=constraint(spec.kernel_constraint),
        bias_constraint=constraint(spec.bias_constraint),
        **context.shared(planned),
    )
