"""Keras' activation functions on torch tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional

from framework.errors import Problem, SpecError, nearest
from framework.spec.identifiers import ACTIVATIONS, Identifier
from framework.spec.identifiers import Activation as ActivationIdentifier

Activation = Callable[[Tensor], Tensor]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Constants of Klambauer et al. 2017, equation 2."""

_IDENTIFIER: TypeAdapter[Identifier] = TypeAdapter(ActivationIdentifier)


def linear(x: Tensor) -> Tensor:
    """``x`` itself."""
    return x


def hard_sigmoid(x: Tensor) -> Tensor:
    """``relu6(x + 3) / 6``, Keras 3's."""
    return functional.relu6(x + 3.0) / 6.0


def hard_sigmoid_tf2(x: Tensor) -> Tensor:
    """``0.2 x + 0.5`` cut to [0, 1], the hard sigmoid of TensorFlow 2's Keras."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def hard_silu(x: Tensor) -> Tensor:
    """``x`` times Keras 3's hard sigmoid of ``x``."""
    return x * hard_sigmoid(x)


def leaky_relu(x: Tensor) -> Tensor:
    """``x`` above zero, ``0.2 x`` below: Keras' slope, where torch's default is 0.01."""
    return functional.leaky_relu(x, 0.2)


def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``; torch's own turns to ``x`` at 20 already, which float64 can tell."""
    return functional.softplus(x, threshold=40.0)


def mish(x: Tensor) -> Tensor:
    """``x tanh(softplus(x))``."""
    return x * torch.tanh(softplus(x))


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis."""
    return torch.softmax(x, dim=-1)


def log_softmax(x: Tensor) -> Tensor:
    """Logarithm of the softmax over the last axis."""
    return torch.log_softmax(x, dim=-1)


FUNCTIONS: dict[str, Activation] = {
    "celu": functional.celu,
    "elu": functional.elu,
    "exponential": torch.exp,
    "gelu": functional.gelu,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_tf2": hard_sigmoid_tf2,
    "hard_silu": hard_silu,
    "hard_tanh": functional.hardtanh,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_sigmoid": functional.logsigmoid,
    "log_softmax": log_softmax,
    "mish": mish,
    "relu": torch.relu,
    "relu6": functional.relu6,
    "selu": functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}
"""Every activation of the spec by its canonical name."""

_ALSO: dict[Any, str] = {
    torch.tanh_: "tanh",
    torch.sigmoid_: "sigmoid",
    Tensor.tanh: "tanh",
    Tensor.sigmoid: "sigmoid",
    Tensor.relu: "relu",
    Tensor.exp: "exponential",
    functional.tanh: "tanh",
    functional.sigmoid: "sigmoid",
    functional.relu: "relu",
    torch.special.expit: "sigmoid",
}

_NAMES: dict[Any, str] = {**_ALSO, **{function: name for name, function in FUNCTIONS.items()}}


def activation(identifier: Identifier | str | dict[str, Any] | Activation | None) -> Activation:
    """The torch function of a Keras activation.

    Args:
        identifier: a spec's identifier, a Keras name or mapping; None is linear; a function is given back as it is.

    Raises:
        SpecError: there is no activation of that name.

    Source: Keras documentation, "Layer activation functions".
    """
    if identifier is None:
        return linear
    if not isinstance(identifier, (Identifier, str, dict)) and callable(identifier):
        return identifier
    return FUNCTIONS[_parsed(identifier)]


def activation_name(function: object) -> str | None:
    """The canonical name of a torch function that is one of Keras' activations, such as ``torch.tanh``; None for any other.

    Modules such as ``torch.nn.Tanh()`` have the name of what they compute.
    """
    if isinstance(function, (torch.nn.Tanh, torch.nn.Sigmoid, torch.nn.Identity)):
        return {"Tanh": "tanh", "Sigmoid": "sigmoid", "Identity": "linear"}[type(function).__name__]
    if isinstance(function, torch.nn.ReLU):
        return "relu"
    try:
        return _NAMES.get(function)
    except TypeError:
        return None


def _parsed(identifier: Identifier | str | dict[str, Any]) -> str:
    try:
        return _IDENTIFIER.validate_python(identifier).class_name
    except ValidationError as error:
        name = identifier if isinstance(identifier, str) else str(identifier)
        problem = Problem(
            path="activation",
            message=f"unknown activation {identifier!r}",
            expected="one of " + ", ".join(ACTIVATIONS),
            suggestion=nearest(name, ACTIVATIONS),
        )
        raise SpecError([problem], "cannot use this activation") from error
