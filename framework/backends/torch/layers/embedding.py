"""Token numbers to vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn
from torch.nn import functional

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer


@builds("embedding")
class Embedding(Layer):
    """``embeddings (input_dim, output_dim)``: row i is the vector of token i; with ``mask_zero`` token 0 is masked."""

    embeddings: nn.Parameter

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        self.mask_zero = bool(planned.spec.mask_zero)  # type: ignore[attr-defined]
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time) int`` to ``(batch, time, output_dim)``."""
        tokens = inputs[0].value
        mask = tokens != 0 if self.mask_zero else None
        return single(Signal(functional.embedding(tokens, self.embeddings), mask))
