"""Kinds that make one place of several: global_average_pooling1d."""

from __future__ import annotations

from typing import Literal

from framework.spec.layers.base import LayerSpec, layer_kind


@layer_kind("global_average_pooling1d")
class GlobalAveragePooling1DSpec(LayerSpec):
    """The mean over all places: reads ``(batch, places, features)``, gives ``(batch, features)``; masked places do not count.

    Source: Keras documentation, "GlobalAveragePooling1D layer".
    """

    kind: Literal["global_average_pooling1d"] = "global_average_pooling1d"
