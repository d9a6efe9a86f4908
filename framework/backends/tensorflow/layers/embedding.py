"""Rows of a table by number."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import functions_of
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.embedding import EmbeddingSpec


@builds("embedding")
def build_embedding(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, …) int`` to ``(batch, …, output_dim)``."""
    spec = cast(EmbeddingSpec, planned.spec)
    return keras.layers.Embedding(
        input_dim=spec.input_dim,
        output_dim=spec.output_dim,
        **functions_of(spec),
        mask_zero=spec.mask_zero,
        **context.shared(planned),
    )
