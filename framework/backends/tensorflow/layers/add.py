"""Adds tensors of one shape."""

from __future__ import annotations

import keras

from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer


@builds("add")
def build_add(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Adds tensors of one shape."""
    return keras.layers.Add(**context.shared(planned))
