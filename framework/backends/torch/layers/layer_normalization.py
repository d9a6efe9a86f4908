"""Normalizes the last axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn
from torch.nn import functional

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import LayerNormalizationSpec


@builds("layer_normalization")
class LayerNormalization(Layer):
    """Mean 0 and variance 1 over the last axis, times ``gamma (features,)``, plus ``beta (features,)``."""

    gamma: nn.Parameter
    beta: nn.Parameter

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, LayerNormalizationSpec)
        self.spec = planned.spec
        # As a number: a tracer takes the tensor's own width for one that varies.
        self.width = planned.inputs[0].shape[-1] or 0
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """The shape stays, the mask goes through."""
        value, mask = inputs[0]
        gamma = self.gamma if self.spec.scale else None
        beta = self.beta if self.spec.center else None
        return single(Signal(functional.layer_norm(value, (self.width,), gamma, beta, self.spec.epsilon), mask))
