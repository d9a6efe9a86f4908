"""The layer kinds on Keras, one a file; importing this package makes them known to :func:`build_layer`."""

from __future__ import annotations

from framework.backends.tensorflow.layers import (
    activation,
    add,
    attention,
    attention_decoder,
    bidirectional,
    concatenate,
    dense,
    dropout,
    embedding,
    global_average_pooling1d,
    gru,
    layer_normalization,
    masking,
    multi_head_attention,
)
from framework.backends.tensorflow.layers.base import BuildContext, keras_name, native_name
from framework.backends.tensorflow.layers.table import build_layer, builds

__all__ = [
    "BuildContext",
    "activation",
    "add",
    "attention",
    "attention_decoder",
    "bidirectional",
    "build_layer",
    "builds",
    "concatenate",
    "dense",
    "dropout",
    "embedding",
    "global_average_pooling1d",
    "gru",
    "keras_name",
    "layer_normalization",
    "masking",
    "multi_head_attention",
    "native_name",
]
