"""What a weight file holds, before it is known which model it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Reading = dict[str, Array]
"""A layer's arrays by weight name, in Keras' layout and order, such as ``kernel`` or ``forward/kernel``."""

WEIGHTS = {
    "embedding": ("embeddings",),
    "gru": ("kernel", "recurrent_kernel", "bias"),
    "dense": ("kernel", "bias"),
    "layer_normalization": ("gamma", "beta"),
}
"""Keras' weights of each layer kind, in Keras' order."""


@dataclass(frozen=True, eq=False)
class FoundLayer:
    """One layer of a file.

    Attributes:
        name: as in the file; layers of a stacked ``torch.nn.GRU`` are ``prefix:0``, ``prefix:1``, ….
        readings: arrays by the layer kind that they are read as; torch's files do not tell a dense layer from an embedding. The likeliest
            kind stands first; ``""`` is a kind that is not known here.
        certain: whether the weights' names stand in the file; else they are told from their order.
        stack: name of the stack that it is a layer of.
        config: the layer's Keras config, where the file has one.
    """

    name: str
    readings: Mapping[str, Reading]
    certain: bool = True
    stack: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundWeights:
    """A file's layers, in the file's order.

    Attributes:
        source: the file, for messages.
        format: what the file is, in words.
        layers: those that have weights.
        named: whether the layers' names stand in the file; without, they are numbered by class in the model's order.
        legacy: whether tf-keras or an older Keras wrote it.
    """

    source: str
    format: str
    layers: tuple[FoundLayer, ...]
    named: bool = True
    legacy: bool = False

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every array by ``layer/weight``, each layer read as its likeliest kind."""
        return dict(named_arrays(self.layers))


def named_arrays(layers: tuple[FoundLayer, ...]) -> Iterator[tuple[str, Array]]:
    """Arrays of layers by ``layer/weight``."""
    for layer in layers:
        for name, array in next(iter(layer.readings.values())).items():
            yield f"{layer.name}/{name}", array
