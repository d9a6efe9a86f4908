"""Keras' regularizers, constraints and initializers on torch tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from framework.backends.torch.tracing import real_numbers
from framework.errors import UnsupportedArgument
from framework.spec.identifiers import Identifier
from framework.weights.initializers import initial_weight

Penalty = Callable[[Tensor], Tensor]
Projection = Callable[[Tensor], Tensor]

EPSILON = 1e-7
"""Keras' guard against a division by zero (``keras.config.epsilon()``)."""


class Initialize(Protocol):
    """Draws a tensor of a shape."""

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, generator: torch.Generator | None = None) -> Tensor:
        """A new tensor of ``shape``; random numbers come from ``generator``, or torch's own."""
        ...


def regularizer(identifier: Identifier) -> Penalty:
    """The penalty of a Keras regularizer: a weight of any shape to a scalar of its dtype.

    Raises:
        UnsupportedArgument: the regularizer, or its mode, is unknown.

    Source: Keras documentation, "Layer weight regularizers".
    """
    name = identifier.class_name
    if name == "l1":
        return _l1_l2(_number(identifier, "l1"), 0.0)
    if name == "l2":
        return _l1_l2(0.0, _number(identifier, "l2"))
    if name == "l1_l2":
        return _l1_l2(_number(identifier, "l1"), _number(identifier, "l2"))
    if name == "orthogonal_regularizer":
        return _orthogonality(_number(identifier, "factor"), identifier.setting("mode"))
    raise UnsupportedArgument(f"regularizer '{name}' is not known here; known are l1, l2, l1_l2 and orthogonal_regularizer")


def _number(identifier: Identifier, name: str) -> float:
    value = identifier.setting(name)
    return 0.0 if value is None else float(value)


def _l1_l2(l1: float, l2: float) -> Penalty:
    def penalty(weight: Tensor) -> Tensor:
        result = weight.new_zeros(())
        if l1:
            result = result + l1 * weight.abs().sum()
        if l2:
            result = result + l2 * weight.square().sum()
        return result

    return penalty


def _orthogonality(factor: float, mode: object) -> Penalty:
    if mode not in ("rows", "columns"):
        raise UnsupportedArgument(f"setting 'mode' of 'orthogonal_regularizer' is {mode!r}; it must be 'rows' or 'columns'")

    def penalty(weight: Tensor) -> Tensor:
        if weight.dim() != 2:
            raise UnsupportedArgument(f"'orthogonal_regularizer' needs a matrix, got the shape {tuple(weight.shape)}")
        vectors = weight if mode == "rows" else weight.t()
        size = vectors.shape[0]
        vectors = vectors * vectors.square().sum(1, keepdim=True).clamp_min(EPSILON**2).rsqrt()
        products = vectors @ vectors.t()
        products = products * (1.0 - torch.eye(size, dtype=weight.dtype, device=weight.device))
        pairs = size * (size - 1.0) / 2.0
        return factor * 0.5 * products.abs().sum() / pairs

    return penalty


def constraint(identifier: Identifier) -> Projection:
    """The projection of a Keras constraint: a weight to the weight that satisfies it, a new tensor of the same shape.

    Raises:
        UnsupportedArgument: the constraint is unknown.

    Source: Keras documentation, "Layer weight constraints".
    """
    name = identifier.class_name
    if name == "non_neg":
        return lambda weight: weight.clamp_min(0.0)
    if name not in ("unit_norm", "max_norm", "min_max_norm"):
        raise UnsupportedArgument(f"constraint '{name}' is not known here; known are max_norm, min_max_norm, non_neg and unit_norm")
    axis = _axes(identifier.setting("axis"))
    if name == "unit_norm":
        return lambda weight: weight / (EPSILON + _norms(weight, axis))
    if name == "max_norm":
        return _norm_within(0.0, float(identifier.setting("max_value")), 1.0, axis)
    low, high, rate = (float(identifier.setting(key)) for key in ("min_value", "max_value", "rate"))
    return _norm_within(low, high, rate, axis)


def _axes(axis: Any) -> tuple[int, ...]:
    return tuple(int(one) for one in axis) if isinstance(axis, (list, tuple)) else (int(axis or 0),)


def _norms(weight: Tensor, axis: tuple[int, ...]) -> Tensor:
    return weight.square().sum(axis, keepdim=True).sqrt()


def _norm_within(low: float, high: float, rate: float, axis: tuple[int, ...]) -> Projection:
    def project(weight: Tensor) -> Tensor:
        norms = _norms(weight, axis)
        desired = rate * norms.clamp(low, high) + (1.0 - rate) * norms
        return weight * (desired / (EPSILON + norms))

    return project


def initializer(identifier: Identifier | None) -> Initialize:
    """The torch form of a Keras initializer; None is Keras' default, ``glorot_uniform``.

    The values are those of the initializers that both backends start from, drawn with a seed from torch's random numbers; a ``seed`` in
    the identifier's settings wins.

    Source: Keras documentation, "Layer weight initializers".
    """

    def initialize(shape: Sequence[int], dtype: torch.dtype = torch.float32, generator: torch.Generator | None = None) -> Tensor:
        device = torch.device("cpu") if generator is None else generator.device
        with real_numbers():
            seed = int(torch.randint(2**62, (), generator=generator, device=device))
        return torch.from_numpy(initial_weight(identifier, tuple(shape), seed, "torch")).to(dtype)

    return initialize
