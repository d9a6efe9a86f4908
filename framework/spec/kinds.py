"""All layer kinds that come with Gatework; importing this module makes them known."""

from __future__ import annotations

from framework.spec.layers import attention, bidirectional, dense, elementwise, embedding, gru, merging
from framework.spec.layers.base import LAYER_KINDS, layer_kind

__all__ = ["LAYER_KINDS", "attention", "bidirectional", "dense", "elementwise", "embedding", "gru", "layer_kind", "merging"]
