"""Applies an activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from framework.backends.torch.activations import activation
from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import ActivationSpec


@builds("activation")
class Activation(Layer):
    """A function of each value (or, for softmax, of the last axis)."""

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, ActivationSpec)
        self.activation = activation(planned.spec.activation)

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """The shape stays, the mask goes through."""
        value, mask = inputs[0]
        return single(Signal(self.activation(value), mask))
