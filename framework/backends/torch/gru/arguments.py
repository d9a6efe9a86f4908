"""What of a GRU's arguments is torch's own: functions and data types; the rest is in :mod:`framework.backends.base.gru_arguments`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from framework.backends.base.gru_arguments import FUNCTIONS, GRUArguments
from framework.backends.torch.activations import activation, activation_name
from framework.backends.torch.identifiers import constraint, initializer, regularizer
from framework.backends.torch.precision import DTYPES, MIXED
from framework.errors import Problem, SpecError
from framework.spec.identifiers import Identifier
from framework.spec.problems import choices

_KNOWN: dict[str, Callable[[Any], Any]] = {
    "activation": activation,
    "initializer": initializer,
    "regularizer": lambda identifier: None if identifier is None else regularizer(identifier),
    "constraint": lambda identifier: None if identifier is None else constraint(identifier),
}
"""The function of an identifier, by the kind of argument."""


def own_value(name: str, value: Any) -> Any:
    """A function, by Keras' name where it has one, or the name of a data type; anything else is for the spec to judge.

    Raises:
        SpecError: there is no such data type.
    """
    if name == "dtype":
        return _dtype_name(value)
    if not callable(value) or isinstance(value, Identifier):
        return NotImplemented
    named = activation_name(value) if FUNCTIONS[name] == "activation" else None
    return value if named is None else Identifier(class_name=named)


class FunctionArgument:
    """A layer's function as an attribute under its argument's name: one that was given, or what its Keras name stands for.

    A module given for a function is a part of the layer under ``<argument>_function``: trained, moved and saved with it. A copy of the
    layer has a copy of it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.known = name, _KNOWN[FUNCTIONS[name]]

    def __get__(self, layer: nn.Module, owner: type) -> Any:
        registered = layer._modules.get(f"{self.name}_function")
        if registered is not None:
            return registered
        arguments: GRUArguments = vars(layer)["arguments"]
        value = arguments[self.name]
        return value if callable(value) else self.known(value)


def as_config(value: Any) -> Any:
    """An argument as a config holds it: a Keras name, a mapping with settings, or the function itself."""
    if isinstance(value, Identifier):
        return {"class_name": value.class_name, "config": dict(value.config)} if value.config else value.class_name
    return value


def _dtype_name(value: Any) -> str:
    if isinstance(value, Mapping):  # how Keras 3 writes a policy into a config
        value = (value.get("config") or {}).get("name", value)
    name = str(value).removeprefix("torch.") if isinstance(value, (str, torch.dtype)) else str(value)
    known = [*DTYPES, *MIXED]
    if name not in known:
        raise SpecError([Problem("dtype", "value not accepted", value=repr(value), expected=choices(known))])
    return name
