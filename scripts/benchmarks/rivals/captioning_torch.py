"""The tutorial's captioner as one writes it in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from benchmarks.rivals.attending_torch import Decoder, load, step_of
from benchmarks.rivals.captioning import Sizes
from framework.data.batches import Batch


class Encoder(nn.Module):
    """What is seen of a photo ``(batch, places, features)`` to its places as they are attended to, and a first state of zeros."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.dense, self.units = nn.Linear(sizes.features, sizes.decoder.memory), sizes.decoder.units

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Places ``(batch, places, memory)`` and the state."""
        return self.dense(image).relu(), image.new_zeros(len(image), self.units)


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names."""
    encoder, decoder = Encoder(sizes), Decoder(sizes.decoder)
    load(encoder, {"dense": "encoder"}, weights)
    parts = {"embedding": "target_embedding", "attention": "decoder/attention", "gru": "decoder/cell"}
    load(decoder, {**parts, "dense.0": "hidden", "dense.1": "logits"}, weights)
    return step_of(encoder, decoder, "image")
