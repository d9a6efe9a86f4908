"""The layer on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from framework.backends.tensorflow.layers import BuildContext
from framework.builder.plan import PlannedLayer


class Scale(keras.layers.Layer):
    """Multiplies each feature by its weight."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        """One weight a feature."""
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        """``(…, features)`` to the same."""
        return inputs * self.scale


def scale(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """The layer of a config."""
    return Scale(**context.shared(planned))
