"""Embedding and dense."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import activation, constraint, initializer, regularizer
from framework.backends.tensorflow.layers.registry import BuildContext, builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.dense import DenseSpec
from framework.spec.layers.embedding import EmbeddingSpec


@builds("embedding")
def build_embedding(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, …) int`` to ``(batch, …, output_dim)``."""
    spec = cast(EmbeddingSpec, planned.spec)
    return keras.layers.Embedding(
        input_dim=spec.input_dim,
        output_dim=spec.output_dim,
        embeddings_initializer=initializer(spec.embeddings_initializer),
        embeddings_regularizer=regularizer(spec.embeddings_regularizer),
        embeddings_constraint=constraint(spec.embeddings_constraint),
        mask_zero=spec.mask_zero,
        **context.shared(planned),
    )


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
