"""Zeroes values in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from framework.backends.torch.layers.base import Layer, Setting, Signal, single
from framework.backends.torch.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import DropoutSpec


@builds("dropout")
class Dropout(Layer):
    """Zeroes a fraction ``rate`` of the values in training and scales the rest by ``1 / (1 - rate)``.

    The k-th draw of the layer's life depends on (seed, k) alone; k is a saved buffer, so that a resumed training draws on as if
    it had never stopped.
    """

    draws: Tensor

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, DropoutSpec)
        self.rate = planned.spec.rate
        self.seed = setting.derived_seed(planned.name) if planned.spec.seed is None else planned.spec.seed
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self._count = 0

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Signal]) -> dict[str, Signal]:
        """The shape stays, the mask goes through."""
        value, mask = inputs[0]
        if not self.training or self.rate == 0.0:
            return single(Signal(value, mask))
        return single(Signal(value * self._keep(value), mask))

    def _keep(self, like: Tensor) -> Tensor:
        """What values are multiplied by: 0, or ``1 / (1 - rate)``."""
        if self.rate >= 1.0:
            return torch.zeros_like(like)
        # Odd multipliers spread (seed, draw) over 64 bits; the generator mixes them further.
        mixed = (self.seed * 0x9E3779B97F4A7C15 + self._count * 0x94D049BB133111EB) % 2**63
        self._count += 1
        self.draws.fill_(self._count)
        generator = torch.Generator(like.device).manual_seed(mixed)
        return torch.empty_like(like).bernoulli_(1.0 - self.rate, generator=generator).div_(1.0 - self.rate)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._count = int(self.draws)
