"""The tutorial's translator as one writes it in PyTorch: modules, and a loop over the target's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.rivals.translation import Sizes
from framework.data.batches import Batch
from framework.weights.gru_layout import keras_to_torch


class Encoder(nn.Module):
    """Word numbers ``(batch, places)`` to a state for each and the last one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.source, sizes.width)
        self.gru = nn.GRU(sizes.width, sizes.units, batch_first=True)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """States ``(batch, places, units)`` and the last one."""
        states, last = self.gru(self.embedding(source))
        return states, last[0]


class Attention(nn.Module):
    """Bahdanau's: the context ``(batch, units)`` of a query ``(batch, units)``."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.query, self.memory, self.score = nn.Linear(units, units), nn.Linear(units, units), nn.Linear(units, 1)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """See the class."""
        weights = self.score(torch.tanh(self.query(query[:, None]) + self.memory(memory))).softmax(1)
        return (weights * memory).sum(1)


class Decoder(nn.Module):
    """One word of the target."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.target, sizes.width)
        self.attention, self.carries = Attention(sizes.units), sizes.carries
        self.gru = nn.GRU(sizes.units + sizes.width, sizes.units, batch_first=True)
        self.logits = nn.Linear(sizes.units, sizes.target)

    def forward(self, word: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(batch, words)`` of the next word, and the new state."""
        context = self.attention(state, memory)
        read = torch.cat([context[:, None], self.embedding(word[:, None])], dim=-1)
        output, last = self.gru(read, state[None] if self.carries else None)
        return self.logits(output[:, 0]), last[0]


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names; gives the tutorial's loss, summed over the words."""
    encoder, decoder = Encoder(sizes), Decoder(sizes)
    _load(encoder, decoder, weights)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, eps=1e-7)

    def step(batch: Batch) -> float:
        source, target = (torch.from_numpy(batch.inputs[name]).long() for name in ("source", "target"))
        expected = torch.from_numpy(batch.targets).long()
        optimizer.zero_grad()
        memory, state = encoder(source)
        loss = torch.zeros(())
        for t in range(target.shape[1]):
            logits, state = decoder(target[:, t], state, memory)
            losses = functional.cross_entropy(logits, expected[:, t], reduction="none")
            loss = loss + (losses * (expected[:, t] != 0)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _load(encoder: Encoder, decoder: Decoder, weights: Mapping[str, Any]) -> None:
    layers = {"embedding": "target_embedding", "attention": "decoder/attention", "gru": "decoder/cell", "logits": "logits"}
    state = {key: array for module, layer in layers.items() for key, array in _module(module, layer, weights).items()}
    decoder.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    state = {**_module("embedding", "source_embedding", weights), **_module("gru", "encoder", weights)}
    encoder.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})


def _module(module: str, layer: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The state of one module by torch's names, from a layer's weights."""
    held = {name[len(layer) + 1 :]: array for name, array in weights.items() if name.startswith(f"{layer}/")}
    if "recurrent_kernel" in held:
        return {f"{module}.{name}": array for name, array in keras_to_torch(held).items()}
    if "embeddings" in held:
        return {f"{module}.weight": held["embeddings"]}
    state = {}
    for name, array in held.items():
        path, _, kind = f"{module}/{name}".rpartition("/")
        state[f"{path.replace('/', '.')}.{'weight' if kind == 'kernel' else 'bias'}"] = array.T if kind == "kernel" else array
    return state
