"""Joins tensors along an axis."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.merging import ConcatenateSpec


@builds("concatenate")
def build_concatenate(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Joins along ``axis``."""
    return keras.layers.Concatenate(axis=cast(ConcatenateSpec, planned.spec).axis, **context.shared(planned))
