"""Masks steps by their value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import MaskingSpec


@builds("masking")
class Masking(Layer):
    """Masks the steps whose every value is ``mask_value``, and makes them zeros."""

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, MaskingSpec)
        self.mask_value = planned.spec.mask_value

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, features)`` stays; the mask is new."""
        value = inputs[0].value
        mask = (value != self.mask_value).any(dim=-1)
        return single(Signal(value.masked_fill(~mask.unsqueeze(-1), 0.0), mask))
