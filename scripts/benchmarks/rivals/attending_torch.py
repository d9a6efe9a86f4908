"""The tutorials' decoder as one writes it in PyTorch: modules, and a loop over the target's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.rivals.attending import DecoderSizes
from framework.data.batches import Batch
from framework.weights.gru_layout import keras_to_torch


class Attention(nn.Module):
    """Bahdanau's: the context ``(batch, memory)`` of a query ``(batch, units)``."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.query, self.memory = nn.Linear(sizes.units, sizes.attention), nn.Linear(sizes.memory, sizes.attention)
        self.score = nn.Linear(sizes.attention, 1)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """See the class."""
        weights = self.score(torch.tanh(self.query(query[:, None]) + self.memory(memory))).softmax(1)
        return (weights * memory).sum(1)


class Decoder(nn.Module):
    """One word of the target."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.words, sizes.width)
        self.attention, self.carries = Attention(sizes), sizes.carries
        self.gru = nn.GRU(sizes.memory + sizes.width, sizes.units, batch_first=True)
        widths = (sizes.units, *sizes.dense)
        self.dense = nn.Sequential(*(nn.Linear(inner, outer) for inner, outer in zip(widths, sizes.dense, strict=False)))

    def forward(self, word: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(batch, words)`` of the next word, and the new state."""
        context = self.attention(state, memory)
        read = torch.cat([context[:, None], self.embedding(word[:, None])], dim=-1)
        output, last = self.gru(read, state[None] if self.carries else None)
        return self.dense(output[:, 0]), last[0]


def step_of(encoder: nn.Module, decoder: Decoder, read: str) -> Callable[[Batch], float]:
    """A training step; gives the tutorials' loss, summed over the words.

    Args:
        encoder: from what is read to the memory and the first state.
        decoder: of the target.
        read: name of what is read.
    """
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, eps=1e-7)

    def step(batch: Batch) -> float:
        target, expected = (torch.from_numpy(one).long() for one in (batch.inputs["target"], batch.targets))
        optimizer.zero_grad()
        memory, state = encoder(torch.from_numpy(batch.inputs[read]))
        loss = torch.zeros(())
        for t in range(target.shape[1]):
            logits, state = decoder(target[:, t], state, memory)
            losses = functional.cross_entropy(logits, expected[:, t], reduction="none")
            loss = loss + (losses * (expected[:, t] != 0)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def load(module: nn.Module, layers: Mapping[str, str], weights: Mapping[str, Any]) -> None:
    """Sets a module's weights.

    Args:
        module: all of whose weights are set.
        layers: Gatework's name of each part, by the module's own.
        weights: by Gatework's names.
    """
    state = {key: array for part, layer in layers.items() for key, array in _part(part, layer, weights).items()}
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})


def _part(part: str, layer: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The state of one part by torch's names, from a layer's weights."""
    held = {name[len(layer) + 1 :]: array for name, array in weights.items() if name.startswith(f"{layer}/")}
    if "recurrent_kernel" in held:
        return {f"{part}.{name}": array for name, array in keras_to_torch(held).items()}
    if "embeddings" in held:
        return {f"{part}.weight": held["embeddings"]}
    state = {}
    for name, array in held.items():
        path, _, kind = f"{part}/{name}".rpartition("/")
        state[f"{path.replace('/', '.')}.{'weight' if kind == 'kernel' else 'bias'}"] = array.T if kind == "kernel" else array
    return state
