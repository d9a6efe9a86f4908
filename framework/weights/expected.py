"""The layers that a model wants weights for, and the way from a file's layers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import CheckpointError, InputError, nearest
from framework.weights.found import FoundLayer, FoundWeights, Reading, named_arrays
from framework.weights.store import check_weights

HARD_SIGMOID = "hard_sigmoid_tf2"
"""Our name of ``0.2·x + 0.5``, which tf-keras' files call ``hard_sigmoid``."""

_COMPARED = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True, "go_backwards": False}
"""Settings of a GRU that change its numbers but not its shapes, with Keras' defaults."""


@dataclass(frozen=True)
class ExpectedLayer:
    """A layer of the model with its weights in Keras' layout and order.

    Attributes:
        name: by which the model's weights are named.
        kind: layer kind.
        weights: shape by weight name.
        native_name: its name in Keras' files where that is another.
        settings: of a GRU, as far as a file's config can be held against them.
    """

    name: str
    kind: str
    weights: Mapping[str, tuple[int, ...]]
    native_name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def fit_weights(
    found: FoundWeights, expected: Sequence[ExpectedLayer], names: Mapping[str, str] | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file by the model's ``layer/weight``.

    A layer takes, in this order: the file's layer that ``names`` says; the one of its own name; in files without names, the one at its
    place among those of its kind; the only one left of its kind; its layer of the only stack left of its kind.

    Args:
        found: what the file holds.
        expected: the model's layers, in its order.
        names: the file's layer by the model's, where they differ; one stack's name for several layers means its layers in order.

    Raises:
        InputError: ``names`` has a layer that the model or the file has not; the nearest is named.
        CheckpointError: a weight is missing, unknown or of another shape, both sides are shown; or a config in the file says
            that the layer computes something else.
    """
    layers = [layer for layer in expected if layer.weights]
    matches = match_layers(found, layers, names)
    arrays: dict[str, NDArray[np.generic]] = {}
    for layer, theirs in matches:
        _check_settings(found, layer, theirs)
        arrays.update({f"{layer.name}/{name}": array for name, array in _reading(layer, theirs).items()})
    used = {id(theirs) for _, theirs in matches}
    arrays.update(named_arrays(tuple(one for one in found.layers if id(one) not in used)))
    shapes = {f"{layer.name}/{name}": shape for layer in layers for name, shape in layer.weights.items()}
    try:
        check_weights(shapes, arrays, f"weights of {found.source} ({found.format})")
    except CheckpointError as error:
        there = ", ".join(layer.name for layer in found.layers) or "none"
        raise CheckpointError(f"{error}\n  layers of the file: {there}; of the model: {', '.join(one.name for one in layers)}") from error
    return {name: arrays[name] for name in shapes}


def match_layers(
    found: FoundWeights, expected: Sequence[ExpectedLayer], names: Mapping[str, str] | None = None
) -> list[tuple[ExpectedLayer, FoundLayer]]:
    """The model's layers with the file's layer for each, in the model's order; a layer for which the file has none is left out.

    Args:
        found: what the file holds.
        expected: the model's layers, in its order.
        names: as for :func:`fit_weights`.

    Raises:
        InputError: ``names`` has a layer that the model or the file has not; the nearest is named.
    """
    layers = [layer for layer in expected if layer.weights]
    pairs = _pairs(found, layers, names or {})
    return [(layer, pairs[layer.name]) for layer in layers if layer.name in pairs]


def _pairs(found: FoundWeights, layers: Sequence[ExpectedLayer], names: Mapping[str, str]) -> dict[str, FoundLayer]:
    pairs = _by_mapping(found, layers, names)
    if found.named:
        by_name = {one.name: one for one in found.layers}
        short = _short_names(found)
        for layer in layers:
            for name in (layer.native_name, layer.name):
                one = by_name.get(name or "") or short.get(name or "")
                if one is not None and layer.name not in pairs and one not in pairs.values():
                    pairs[layer.name] = one
    for kind in dict.fromkeys(layer.kind for layer in layers):
        wanted = [layer for layer in layers if layer.kind == kind and layer.name not in pairs]
        used = {id(one) for one in pairs.values()}
        left = [one for one in found.layers if kind in one.readings and id(one) not in used]
        if len(wanted) == 1:
            left = [one for one in left if _fits(wanted[0], one)] or left
        one_stack = len({one.stack for one in left}) == 1 and left[0].stack is not None
        if len(wanted) == len(left) and (len(left) == 1 or one_stack or not found.named):
            pairs.update({layer.name: one for layer, one in zip(wanted, left, strict=True)})
    return pairs


def _by_mapping(found: FoundWeights, layers: Sequence[ExpectedLayer], names: Mapping[str, str]) -> dict[str, FoundLayer]:
    pairs: dict[str, FoundLayer] = {}
    for name, theirs in names.items():
        if name not in {layer.name for layer in layers}:
            close = nearest(name, [layer.name for layer in layers])
            raise InputError(f"the model has no layer '{name}' with weights" + (f"; did you mean '{close}'?" if close else ""))
        candidates = [one for one in found.layers if theirs in (one.name, one.stack) and one not in pairs.values()]
        if not candidates:
            close = nearest(theirs, [one.name for one in found.layers])
            hint = f"; did you mean '{close}'?" if close else f"; it has {', '.join(one.name for one in found.layers)}"
            raise InputError(f"{found.source} has no (further) layer '{theirs}'{hint}")
        pairs[name] = candidates[0]
    return pairs


def _short_names(found: FoundWeights) -> dict[str, FoundLayer]:
    """Layers of a nested module by the last part of their names, where that is theirs alone."""
    short: dict[str, list[FoundLayer]] = {}
    for one in found.layers:
        short.setdefault(one.name.rpartition(".")[2], []).append(one)
    return {name: ones[0] for name, ones in short.items() if len(ones) == 1}


def _fits(layer: ExpectedLayer, one: FoundLayer) -> bool:
    return [array.shape for array in _reading(layer, one).values()] == list(layer.weights.values())


def _reading(layer: ExpectedLayer, one: FoundLayer) -> Reading:
    """The arrays of a file's layer under the names that the model's layer has for them."""
    reading = one.readings.get(layer.kind) or next(iter(one.readings.values()))
    if one.certain or len(reading) != len(layer.weights):
        return reading
    return dict(zip(layer.weights, reading.values(), strict=True))


def _check_settings(found: FoundWeights, layer: ExpectedLayer, one: FoundLayer) -> None:
    config = one.config.get("layer", {}).get("config", {}) if layer.kind == "bidirectional" else one.config
    if not layer.settings or "units" not in config:
        return
    for key, default in _COMPARED.items():
        theirs = setting_of(config.get(key, default), found.legacy)
        if key in layer.settings and theirs != layer.settings[key]:
            raise CheckpointError(
                f"layer '{layer.name}' would not compute what layer '{one.name}' of {found.source} did: its {key} is {theirs} "
                f"in the file, {layer.settings[key]} in the model; set {key} in the model, or save weights alone (.weights.h5)"
            )


def setting_of(value: Any, legacy: bool) -> Any:
    """A Keras config's setting as our YAML says it: objects by name, None as linear, tf-keras' hard sigmoid by ours."""
    if isinstance(value, Mapping):
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    if value is None:
        return "linear"
    return HARD_SIGMOID if legacy and value == "hard_sigmoid" else value
