"""Joins tensors along an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.spec.layers.merging import ConcatenateSpec


@builds("concatenate")
class Concatenate(Layer):
    """Its inputs side by side along ``axis``."""

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, ConcatenateSpec)
        axis, rank = planned.spec.axis, len(planned.inputs[0].shape)
        # Counted from the end, the last axis has one number with and without time, so the step form needs no other.
        self.axis = axis if axis < 0 else axis - rank

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """A step counts where any of its joined values counts; an input without a mask counts everywhere, as in Keras."""
        value = torch.cat([signal.value for signal in inputs], dim=self.axis)
        if all(signal.mask is None for signal in inputs):
            return single(Signal(value))
        mask = torch.cat([_spread(signal) for signal in inputs], dim=self.axis).any(dim=-1)
        return single(Signal(value, mask))


def _spread(signal: Signal) -> Tensor:
    """The mask in the shape of the value."""
    if signal.mask is None:
        return torch.ones_like(signal.value, dtype=torch.bool)
    return signal.mask.unsqueeze(-1).expand(signal.value.shape)
