"""The layer on torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer


class Scale(Layer):
    """Multiplies each feature by its weight."""

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(…, features)`` to the same."""
        value, mask = inputs[0]
        return single(Signal(value * self.scale, mask))
