"""Zeroes values in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from framework.backends.torch.dropout_masks import dropout_masks
from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.recomputation import CallLog, CountsCalls, KeepsDraws
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import refuse_recording
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import DropoutSpec


@builds("dropout")
class Dropout(KeepsDraws, CountsCalls, Layer):
    """Zeroes a fraction ``rate`` of the values in training and scales the rest by ``1 / (1 - rate)``.

    Which values depends on the seed and the numbers of the call alone, so that a resumed training drops what it would have dropped, and
    a backward pass that runs a call again finds what it dropped before.
    """

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, DropoutSpec)
        self.rate = planned.spec.rate
        self.seed = setting.derived_seed(planned.name) if planned.spec.seed is None else planned.spec.seed
        self.call_log = CallLog()
        self.keeps_draws = True

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """The shape stays, the mask goes through."""
        value, mask = inputs[0]
        if not self.training or self.rate == 0.0:
            return single(Signal(value, mask))
        label = f"layer '{self.planned.name}'"
        refuse_recording(label, "the mask of a dropout in training", "call eval() on the model first")
        return single(Signal(value * self._keep(value, label), mask))

    def _keep(self, like: Tensor, label: str) -> Tensor:
        """What values are multiplied by: 0, or ``1 / (1 - rate)``."""
        words, rows = self.call_log.enter(label).words(self.seed, 0), len(like)
        width = like[:1].numel()
        [mask] = dropout_masks(words, 1, rows, width, self.rate, like.detach(), self.call_log.first_row)
        return mask.reshape(like.shape)
