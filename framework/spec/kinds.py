"""All kinds of layers and of data that come with Gatework; importing this module makes them known."""

from __future__ import annotations

from framework.spec import captions, parallel_text
from framework.spec.data import DATA_KINDS
from framework.spec.layers import attention, bidirectional, dense, elementwise, embedding, gru, merging, multi_head_attention, pooling
from framework.spec.layers.base import LAYER_KINDS, layer_kind

__all__ = [
    "DATA_KINDS",
    "LAYER_KINDS",
    "attention",
    "bidirectional",
    "captions",
    "dense",
    "elementwise",
    "embedding",
    "gru",
    "layer_kind",
    "merging",
    "multi_head_attention",
    "parallel_text",
    "pooling",
]
