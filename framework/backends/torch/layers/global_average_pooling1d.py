"""The mean over all places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framework.backends.torch.layers.base import Layer, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal


@builds("global_average_pooling1d")
class GlobalAveragePooling1D(Layer):
    """``(batch, places, features)`` to ``(batch, features)``."""

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """As Keras: the sum over the places that count, divided by their number; nobody counts them where all are masked."""
        value, mask = inputs[0]
        if mask is None:
            return single(Signal(value.mean(dim=1)))
        counted = mask.unsqueeze(-1).to(value.dtype)
        return single(Signal((value * counted).sum(dim=1) / counted.sum(dim=1)))
