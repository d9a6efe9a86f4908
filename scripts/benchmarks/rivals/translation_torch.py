"""The tutorial's translator as one writes it in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from benchmarks.rivals.attending_torch import Decoder, load, step_of
from benchmarks.rivals.translation import Sizes
from framework.data.batches import Batch


class Encoder(nn.Module):
    """Word numbers ``(batch, places)`` to a state for each and the last one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.source, sizes.width)
        self.gru = nn.GRU(sizes.width, sizes.units, batch_first=True)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """States ``(batch, places, units)`` and the last one."""
        states, last = self.gru(self.embedding(source.long()))
        return states, last[0]


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names."""
    encoder, decoder = Encoder(sizes), Decoder(sizes.decoder)
    load(encoder, {"embedding": "source_embedding", "gru": "encoder"}, weights)
    parts = {"embedding": "target_embedding", "attention": "decoder/attention", "gru": "decoder/cell", "dense.0": "logits"}
    load(decoder, parts, weights)
    return step_of(encoder, decoder, "source")
