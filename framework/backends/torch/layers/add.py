"""Adds tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from framework.backends.torch.layers.base import Layer, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal


@builds("add")
class Add(Layer):
    """The sum of its inputs, which have one shape."""

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """A step counts where it counts in any input; one input without a mask makes every step count, as in Keras."""
        total = inputs[0].value
        for signal in inputs[1:]:
            total = total + signal.value
        masks = [signal.mask for signal in inputs if signal.mask is not None]
        mask = torch.stack(masks).any(0) if len(masks) == len(inputs) else None
        return single(Signal(total, mask))
