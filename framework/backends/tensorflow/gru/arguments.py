"""What of a GRU's arguments is Keras' own: functions and data types; the rest is in :mod:`framework.backends.base.gru_arguments`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from framework.backends.base.gru_arguments import FUNCTIONS, GRUArguments, InputShape
from framework.backends.tensorflow import identifiers
from framework.backends.tensorflow.activations import hard_sigmoid_tf2
from framework.spec.identifiers import Identifier

_GETTERS: dict[str, Callable[[Any], Any]] = {
    "activation": keras.activations.get,
    "initializer": keras.initializers.get,
    "regularizer": keras.regularizers.get,
    "constraint": keras.constraints.get,
}
"""How Keras finds its objects, by the kind of argument."""

_OF_SPEC: dict[str, Callable[[Any], Any]] = {
    "activation": identifiers.activation,
    "initializer": identifiers.initializer,
    "regularizer": identifiers.regularizer,
    "constraint": identifiers.constraint,
}
"""Keras' object of a spec's identifier, by the kind of argument."""


def own_value(name: str, value: Any) -> Any:
    """Keras' object of a Keras name, config or object; what Keras does not know is for the spec to judge, a data type for Keras alone."""
    if name == "dtype":
        return value
    if value == "hard_sigmoid_tf2":
        return hard_sigmoid_tf2
    if isinstance(value, Identifier):
        return NotImplemented
    try:
        # The documented layer knows both of this regularizer's names, Keras 3 only one.
        return _GETTERS[FUNCTIONS[name]]("l1l2" if isinstance(value, str) and value == "l1_l2" else value)
    except (ValueError, TypeError):
        return NotImplemented


def keras_functions(arguments: GRUArguments) -> dict[str, Any]:
    """The functions among checked arguments as Keras' objects."""
    given = {name: arguments[name] for name in FUNCTIONS}
    named = (type(None), Identifier)
    return {name: _OF_SPEC[FUNCTIONS[name]](value) if isinstance(value, named) else value for name, value in given.items()}


def full_shape(shape: InputShape, time_major: bool) -> tuple[int | None, ...] | None:
    """The inputs' shape in the layer's layout; None where the width is not known."""
    if shape.features is None:
        return None
    return (shape.steps, shape.batch, shape.features) if time_major else (shape.batch, shape.steps, shape.features)
