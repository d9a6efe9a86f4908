"""A torch ``state_dict`` as layers of weights in Keras' layout, and back. The arrays are NumPy's; torch is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from framework.errors import CheckpointError, InputError, UnsupportedArgument
from framework.weights.expected import ExpectedLayer
from framework.weights.found import Array, FoundLayer, FoundWeights, Reading
from framework.weights.gru_layout import keras_to_torch, stack_from_torch

_BOTH = ("forward", "backward")


def read_torch_state(source: str, state: Mapping[str, Array]) -> FoundWeights:
    """The layers of a ``state_dict``: ``nn.GRU`` (stacked, two directions), ``nn.Embedding``, ``nn.Linear``, ``nn.LayerNorm``.

    Args:
        source: the file, for messages.
        state: arrays by torch's names, such as ``decoder.gru.weight_ih_l0``.

    Raises:
        CheckpointError: a GRU's weights are incomplete or do not fit together.
    """
    modules: dict[str, dict[str, Array]] = {}
    for name, array in state.items():
        prefix, _, weight = name.rpartition(".")
        modules.setdefault(prefix, {})[weight] = array
    layers = [layer for prefix, weights in modules.items() for layer in _layers(prefix, weights)]
    return FoundWeights(source, "torch state_dict", tuple(layers))


def write_torch_state(layers: tuple[ExpectedLayer, ...], arrays: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, Array]:
    """Weights in torch's layout, as the ``state_dict`` of a module with one submodule a layer.

    Args:
        layers: those of the model.
        arrays: by ``layer/weight``, in Keras' layout.
        names: torch's prefix by layer, ``prefix:1`` for a further layer of a stacked ``nn.GRU``; the layer's own name when not given.

    Returns:
        Arrays by torch's names; a missing bias of a GRU stays missing, as with ``nn.GRU(bias=False)``.

    Raises:
        UnsupportedArgument: torch has no such layer, such as a GRU with ``reset_after=False``; the layer is named.
        InputError: ``names`` has a layer that the model has not, or a number that is none.
    """
    unknown = [name for name in names if name not in {layer.name for layer in layers}]
    if unknown:
        raise InputError(f"no layer '{unknown[0]}' in the model; it has {', '.join(layer.name for layer in layers)}")
    state: dict[str, Array] = {}
    for layer in layers:
        weights = {name: arrays[f"{layer.name}/{name}"] for name in layer.weights}
        prefix, _, number = names.get(layer.name, layer.name).partition(":")
        if number and not number.isdigit():
            raise InputError(f"'{names[layer.name]}' is no layer of a stack; expected a prefix and a number, such as gru:1")
        try:
            written = _written(layer.kind, weights, int(number or 0))
        except UnsupportedArgument as error:
            raise UnsupportedArgument(f"layer '{layer.name}': {error}") from error
        state.update({f"{prefix}.{name}" if prefix else name: array for name, array in written.items()})
    return state


def _layers(prefix: str, weights: Mapping[str, Array]) -> Iterator[FoundLayer]:
    if "weight_ih_l0" in weights:
        yield from _gru_layers(prefix, weights)
        return
    readings = _readings(prefix, weights)
    yield FoundLayer(prefix, readings)


def _gru_layers(prefix: str, weights: Mapping[str, Array]) -> Iterator[FoundLayer]:
    try:
        forward, backward = stack_from_torch(weights)
    except CheckpointError as error:
        raise CheckpointError(f"module '{prefix}': {error}") from error
    for number, layer in enumerate(forward):
        name = f"{prefix}:{number}" if len(forward) > 1 else prefix
        if backward:
            both = zip(_BOTH, (layer, backward[number]), strict=True)
            reading = {f"{way}/{weight}": array for way, one in both for weight, array in one.items()}
            yield FoundLayer(name, {"bidirectional": reading}, stack=prefix)
        else:
            yield FoundLayer(name, {"gru": layer}, stack=prefix)


def _readings(prefix: str, weights: Mapping[str, Array]) -> dict[str, Reading]:
    weight = weights.get("weight")
    if weight is None or set(weights) - {"weight", "bias"}:
        return {"": dict(weights)}
    bias = weights.get("bias")
    if weight.ndim == 1:
        return {"layer_normalization": {"gamma": weight} | ({"beta": bias} if bias is not None else {})}
    if weight.ndim != 2:
        return {"": dict(weights)}
    dense: Reading = {"kernel": np.ascontiguousarray(weight.T)}
    if bias is not None:
        return {"dense": {**dense, "bias": bias}}
    embedding: Reading = {"embeddings": weight}
    if "emb" in prefix.lower():
        return {"embedding": embedding, "dense": dense}
    return {"dense": dense, "embedding": embedding}


def _written(kind: str, weights: Reading, number: int) -> dict[str, NDArray[np.generic]]:
    if kind == "gru":
        return keras_to_torch(weights, number)
    if kind == "bidirectional":
        state: dict[str, Array] = {}
        for way in _BOTH:
            inner = {name.removeprefix(f"{way}/"): array for name, array in weights.items() if name.startswith(f"{way}/")}
            state |= keras_to_torch(inner, number, reverse=way == "backward")
        return state
    if kind == "embedding":
        return {"weight": weights["embeddings"]}
    if kind == "dense":
        state = {"weight": np.ascontiguousarray(weights["kernel"].T)}
        return state | ({"bias": weights["bias"]} if "bias" in weights else {})
    if kind == "layer_normalization" and "gamma" in weights:
        return {"weight": weights["gamma"]} | ({"bias": weights["beta"]} if "beta" in weights else {})
    raise UnsupportedArgument(f"a layer of kind '{kind}' with the weights {', '.join(weights)} has no counterpart among torch's modules")
