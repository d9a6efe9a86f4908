"""Keras' regularizers, constraints and initializers on torch tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from framework.errors import UnsupportedArgument
from framework.spec.identifiers import Identifier

Penalty = Callable[[Tensor], Tensor]
Projection = Callable[[Tensor], Tensor]

EPSILON = 1e-7
"""Keras' guard against a division by zero (``keras.config.epsilon()``)."""

TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal cut at two standard deviations; Keras divides by it to keep the variance asked for."""


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

    A ``seed`` in the identifier's settings wins over the generator.

    Raises:
        UnsupportedArgument: the initializer, its mode or its distribution is unknown, or does not fit the shape.

    Source: Keras documentation, "Layer weight initializers"; Saxe et al. 2014 for ``orthogonal``.
    """
    chosen = identifier or Identifier(class_name="glorot_uniform")
    draw = _draw(chosen)
    seed = chosen.setting("seed")

    def initialize(shape: Sequence[int], dtype: torch.dtype = torch.float32, generator: torch.Generator | None = None) -> Tensor:
        if seed is not None:
            generator = torch.Generator().manual_seed(int(seed))
        wide = dtype if dtype in (torch.float32, torch.float64) else torch.float32
        return draw(tuple(shape), wide, generator).to(dtype)

    return initialize


_Draw = Callable[[tuple[int, ...], torch.dtype, torch.Generator | None], Tensor]

_SCALED: dict[str, tuple[float, str, str]] = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}


def _draw(identifier: Identifier) -> _Draw:
    name, setting = identifier.class_name, identifier.setting
    if name in ("zeros", "ones", "constant"):
        value = float(setting("value")) if name == "constant" else float(name == "ones")
        return lambda shape, dtype, generator: torch.full(shape, value, dtype=dtype)
    if name == "identity":
        return lambda shape, dtype, generator: float(setting("gain")) * torch.eye(*_matrix(name, shape), dtype=dtype)
    if name == "orthogonal":
        return lambda shape, dtype, generator: float(setting("gain")) * _orthogonal(_matrix(name, shape), dtype, generator)
    if name == "random_uniform":
        return _uniform(float(setting("minval")), float(setting("maxval")))
    if name in ("random_normal", "truncated_normal"):
        return _normal(float(setting("mean")), float(setting("stddev")), truncated=name == "truncated_normal")
    if name == "variance_scaling":
        return _scaled(float(setting("scale")), str(setting("mode")), str(setting("distribution")))
    if name in _SCALED:
        return _scaled(*_SCALED[name])
    raise UnsupportedArgument(f"initializer '{name}' is not known here")


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 2:
        raise UnsupportedArgument(f"initializer '{name}' needs a matrix, got the shape {shape}")
    return shape


def _uniform(low: float, high: float) -> _Draw:
    return lambda shape, dtype, generator: torch.empty(shape, dtype=dtype).uniform_(low, high, generator=generator)


def _normal(mean: float, stddev: float, *, truncated: bool) -> _Draw:
    def draw(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
        values = torch.empty(shape, dtype=dtype)
        if not truncated:
            return values.normal_(mean, stddev, generator=generator)
        return torch.nn.init.trunc_normal_(values, mean, stddev, mean - 2 * stddev, mean + 2 * stddev, generator=generator)

    return draw


def _scaled(scale: float, mode: str, distribution: str) -> _Draw:
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise UnsupportedArgument(f"setting 'mode' of 'variance_scaling' is '{mode}'; it must be fan_in, fan_out or fan_avg")
    if distribution not in ("uniform", "truncated_normal", "untruncated_normal", "normal"):
        raise UnsupportedArgument(
            f"setting 'distribution' of 'variance_scaling' is '{distribution}'; it must be uniform, truncated_normal or untruncated_normal"
        )

    def draw(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
        fan_in, fan_out = _fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[mode]
        variance = scale / max(1.0, fan)
        if distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return _uniform(-limit, limit)(shape, dtype, generator)
        truncated = distribution != "untruncated_normal"
        stddev = math.sqrt(variance) / (TRUNCATED_STDDEV if truncated else 1.0)
        return _normal(0.0, stddev, truncated=truncated)(shape, dtype, generator)

    return draw


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) < 2:
        only = float(shape[0]) if shape else 1.0
        return only, only
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def _orthogonal(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    rows, columns = shape
    tall = torch.empty(max(shape), min(shape), dtype=dtype).normal_(generator=generator)
    basis, triangle = torch.linalg.qr(tall)
    orthonormal: Tensor = basis * torch.diagonal(triangle).sign()
    return orthonormal.t().contiguous() if rows < columns else orthonormal
