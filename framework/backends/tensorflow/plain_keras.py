"""A model of Gatework's layers as one of Keras' own, which loads where Gatework is not installed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import keras

_OURS = "gatework>"
_HAVE_COUNTERPARTS = ("GRU", "Bidirectional", "Dropout")
"""Classes that compute what Keras' own of the same name does, as far as :func:`_obstacles_of` finds no reason against it."""


def plain_model(model: keras.Model) -> tuple[keras.Model | None, list[str]]:
    """The same model, weights included, with nothing in it but Keras' own layers.

    Args:
        model: a native model.

    Returns:
        The model, None where there is none; and what stands against it, a phrase each, with the layer's name.
    """
    config = copy.deepcopy(keras.saving.serialize_keras_object(model))
    obstacles = list(dict.fromkeys(_made_plain(config, "")))
    if obstacles:
        return None, obstacles
    plain = keras.saving.deserialize_keras_object(config)
    plain.set_weights(model.get_weights())
    return plain, []


def _made_plain(node: Any, layer: str) -> Iterator[str]:
    """Replaces our classes in a serialized model by Keras' own, in place; what has to stay is told."""
    if isinstance(node, list):
        for one in node:
            yield from _made_plain(one, layer)
    if not isinstance(node, dict):
        return
    name = str(node.get("registered_name") or "")
    inner = node.get("config")
    if isinstance(inner, dict) and isinstance(inner.get("name"), str):
        layer = inner["name"]
    if name.startswith(_OURS):
        obstacles = list(_obstacles_of(name.removeprefix(_OURS), inner if isinstance(inner, dict) else {}))
        yield from (f"layer '{layer}' {what}" for what in obstacles)
        if not obstacles:
            node.update(module="keras.layers", registered_name=None)
            node["config"].pop("time_major", None)
            node.pop("build_config", None)  # its arguments are ours by name; the model's first call builds the layer
    for value in node.values():
        yield from _made_plain(value, layer)


def _obstacles_of(class_name: str, config: dict[str, Any]) -> Iterator[str]:
    if class_name not in _HAVE_COUNTERPARTS:
        yield f"is Gatework's {class_name}, which Keras does not have"
    elif class_name == "Bidirectional" and config.get("layer", {}).get("config", {}).get("return_state"):
        yield "returns its states as one"
    elif config.get("time_major"):
        yield "has time_major, which Keras 3 does not"
    yield from (f"has {key}={value}, which Keras does not" for key, value in _functions(config) if value == "hard_sigmoid_tf2")


def _functions(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, config[key]) for key in ("activation", "recurrent_activation") if key in config)
