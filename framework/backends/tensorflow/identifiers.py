"""From the spec's names of activations, initializers, regularizers and constraints to Keras' objects."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras

from framework.backends.tensorflow.activations import Activation, hard_sigmoid_tf2
from framework.errors import UnsupportedArgument
from framework.spec.base import Spec
from framework.spec.identifiers import Identifier


def activation(identifier: Identifier | None) -> Activation:
    """The function; None is linear."""
    name = None if identifier is None else identifier.class_name
    function: Activation = hard_sigmoid_tf2 if name == "hard_sigmoid_tf2" else keras.activations.get(name)
    return function


def initializer(identifier: Identifier | None) -> keras.initializers.Initializer | None:
    """The initializer; None is Keras' own choice."""
    return _made(keras.initializers, identifier)


def regularizer(identifier: Identifier | None) -> keras.regularizers.Regularizer | None:
    """The regularizer; None is no penalty."""
    return _made(keras.regularizers, identifier)


def constraint(identifier: Identifier | None) -> keras.constraints.Constraint | None:
    """The constraint; None is none."""
    return _made(keras.constraints, identifier)


_READERS = {"initializer": initializer, "regularizer": regularizer, "constraint": constraint}


def functions_of(spec: Spec) -> dict[str, Any]:
    """Every initializer, regularizer and constraint of a spec, by the names that Keras' layers have for them too."""
    kinds = {name: name.rpartition("_")[2] for name in type(spec).model_fields}
    return {name: _READERS[kind](getattr(spec, name)) for name, kind in kinds.items() if kind in _READERS}


def _made(module: ModuleType, identifier: Identifier | None) -> Any:
    if identifier is None:
        return None
    made = getattr(module, class_name(identifier.class_name))
    try:
        return made(**identifier.config)
    except (TypeError, ValueError) as error:
        raise UnsupportedArgument(f"Keras refuses {identifier.class_name} with {identifier.config}: {error}") from error


def class_name(name: str) -> str:
    """``glorot_uniform`` to ``GlorotUniform``."""
    return "".join(part.capitalize() for part in name.split("_"))
