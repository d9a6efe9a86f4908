"""The mean over all places."""

from __future__ import annotations

import keras

from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer


@builds("global_average_pooling1d")
def build_global_average_pooling1d(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, places, features)`` to ``(batch, features)``."""
    return keras.layers.GlobalAveragePooling1D(**context.shared(planned))
