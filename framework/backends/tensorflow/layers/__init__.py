"""Native Keras layers of the layer kinds; importing this package makes them known."""

from __future__ import annotations

from framework.backends.tensorflow.layers import attention, attention_decoder, dense, elementwise, merging, recurrent
from framework.backends.tensorflow.layers.registry import BuildContext, build_layer, builds, keras_name, native_name

__all__ = [
    "BuildContext",
    "attention",
    "attention_decoder",
    "build_layer",
    "builds",
    "dense",
    "elementwise",
    "keras_name",
    "merging",
    "native_name",
    "recurrent",
]
