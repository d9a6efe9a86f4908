"""Kinds that make one tensor of several: concatenate and add."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.layers.registry import BuildContext, builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.merging import ConcatenateSpec


@builds("concatenate")
def build_concatenate(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Joins along ``axis``."""
    return keras.layers.Concatenate(axis=cast(ConcatenateSpec, planned.spec).axis, **context.shared(planned))


@builds("add")
def build_add(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Adds tensors of one shape."""
    return keras.layers.Add(**context.shared(planned))
