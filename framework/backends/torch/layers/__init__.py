"""The layer kinds on torch, one a file; importing this package makes them known to :func:`build_layer`."""

from __future__ import annotations

from framework.backends.torch.layers import (
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
from framework.backends.torch.layers.table import build_layer, builds

__all__ = [
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
    "layer_normalization",
    "masking",
    "multi_head_attention",
]
