"""Keras' initializers in NumPy, so that a model starts from the same weights on every backend."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.errors import InputError, UnsupportedArgument, nearest
from framework.spec.identifiers import Identifier

Shape = tuple[int, ...]
Values = NDArray[np.float64]
_Draw = Callable[[Identifier, Shape, np.random.Generator], Values]

TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution cut off at two standard deviations."""

KERAS_DEFAULT = Identifier(class_name="glorot_uniform")
"""What Keras gives a floating-point weight whose initializer is None, whatever the weight's name, biases included.

Source: Keras 3, ``Layer.add_weight``.
"""


class Weight(Protocol):
    """What is needed of a planned weight; :class:`framework.builder.plan.PlannedWeight` is one."""

    @property
    def shape(self) -> Shape:
        """Full shape."""
        ...

    @property
    def initializer(self) -> Identifier | None:
        """How it starts; None is Keras' default."""
        ...


class Plan(Protocol):
    """What is needed of a model's plan; :class:`framework.builder.plan.ModelPlan` is one."""

    @property
    def seed(self) -> int:
        """Seed of the model."""
        ...

    def weight_names(self) -> Iterator[tuple[str, Weight]]:
        """Every weight as (``layer/weight``, weight)."""
        ...


def initial_weights(plan: Plan) -> dict[str, NDArray[np.float32]]:
    """The weights that a model starts with, by ``layer/weight``, in the order of its layers.

    Each weight has its own random numbers, made from the model's seed and the weight's name alone: adding, removing or reordering layers
    leaves the others as they were. As in Keras, an initializer with a ``seed`` of its own gives the same values wherever it is used.

    Raises:
        UnsupportedArgument: an initializer does not fit the shape of its weight; the weight is named.
        InputError: a setting of an initializer is wrong; the weight is named.
    """
    return {name: initial_weight(weight.initializer, weight.shape, plan.seed, name) for name, weight in plan.weight_names()}


def initial_weight(initializer: Identifier | None, shape: Shape, seed: int, name: str) -> NDArray[np.float32]:
    """One weight's first values, drawn in float64 and rounded to float32.

    Args:
        initializer: Keras initializer; None is Keras' default, ``glorot_uniform``.
        shape: full shape.
        seed: seed of the model, used unless the initializer has one.
        name: ``layer/weight``, which keeps the random numbers of weights apart.

    Returns:
        Array of ``shape``.

    Raises:
        UnsupportedArgument: the initializer is not known, or does not fit the shape.
        InputError: a setting of the initializer is wrong.

    Source: Keras 3 documentation, "Layer weight initializers".
    """
    initializer = initializer or KERAS_DEFAULT
    draw = _DRAWS.get(initializer.class_name)
    if draw is None:
        known = ", ".join(_DRAWS)
        raise UnsupportedArgument(f"weight '{name}': unknown initializer '{initializer.class_name}'; expected one of {known}")
    own_seed = initializer.config.get("seed")
    random = _generator(f"seed\0{own_seed}" if own_seed is not None else f"weight\0{seed}\0{name}")
    try:
        values = draw(initializer, shape, random)
    except InputError as error:
        raise type(error)(f"weight '{name}': {error}") from error
    return values.astype(np.float32)


def fans(shape: Shape) -> tuple[int, int]:
    """Numbers of inputs and outputs of a weight, as Keras counts them: more than two axes are read as a convolution's kernel.

    Source: Keras 3, ``compute_fans``.
    """
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _generator(key: str) -> np.random.Generator:
    # Python's own hash changes from process to process; PCG64 is named because default_rng may change with NumPy.
    entropy = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.PCG64(entropy))


def _fill(value: float) -> _Draw:
    return lambda _initializer, shape, _random: np.full(shape, value, np.float64)


def _constant(initializer: Identifier, shape: Shape, _random: np.random.Generator) -> Values:
    return np.full(shape, _number(initializer, "value"))


def _identity(initializer: Identifier, shape: Shape, _random: np.random.Generator) -> Values:
    if len(shape) != 2:
        raise UnsupportedArgument(f"initializer 'identity' needs a weight of two dimensions, and its shape is {shape}")
    return _number(initializer, "gain") * np.eye(*shape)


def _random_normal(initializer: Identifier, shape: Shape, random: np.random.Generator) -> Values:
    return random.normal(_number(initializer, "mean"), _not_negative(initializer, "stddev"), shape)


def _truncated_normal(initializer: Identifier, shape: Shape, random: np.random.Generator) -> Values:
    stddev = _not_negative(initializer, "stddev")
    return _number(initializer, "mean") + stddev * _standard_truncated_normal(shape, random)


def _random_uniform(initializer: Identifier, shape: Shape, random: np.random.Generator) -> Values:
    lowest, highest = _number(initializer, "minval"), _number(initializer, "maxval")
    if lowest > highest:
        raise InputError(f"minval of initializer 'random_uniform' is {lowest}, which is above its maxval {highest}")
    return random.uniform(lowest, highest, shape)


def _variance_scaling(initializer: Identifier, shape: Shape, random: np.random.Generator) -> Values:
    mode = _one_of(initializer, "mode", ("fan_in", "fan_out", "fan_avg"))
    distribution = _one_of(initializer, "distribution", ("normal", "truncated_normal", "untruncated_normal", "uniform"))
    scale = _number(initializer, "scale")
    if not scale > 0:
        raise InputError(f"scale of initializer 'variance_scaling' is {scale}; expected a number above 0")
    return _scaled(scale, mode, distribution, shape, random)


def _preset(scale: float, mode: str, distribution: str) -> _Draw:
    return lambda _initializer, shape, random: _scaled(scale, mode, distribution, shape, random)


def _scaled(scale: float, mode: str, distribution: str, shape: Shape, random: np.random.Generator) -> Values:
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    variance = scale / max(1.0, fan)
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return random.uniform(-limit, limit, shape)
    if distribution == "untruncated_normal":
        return random.normal(0.0, math.sqrt(variance), shape)
    return math.sqrt(variance) / TRUNCATED_STDDEV * _standard_truncated_normal(shape, random)


def _standard_truncated_normal(shape: Shape, random: np.random.Generator) -> Values:
    values = random.standard_normal(math.prod(shape))
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = random.standard_normal(outside.size)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


def _orthogonal(initializer: Identifier, shape: Shape, random: np.random.Generator) -> Values:
    if len(shape) < 2:
        raise UnsupportedArgument(f"initializer 'orthogonal' needs a weight of at least two dimensions, and its shape is {shape}")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    matrix = random.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(matrix)
    # The signs that QR happens to give are not uniform; with R's diagonal positive, Q is drawn uniformly.
    q = q * np.sign(np.diagonal(r))
    if rows < columns:
        q = q.T
    return np.asarray(_number(initializer, "gain") * q.reshape(shape))


def _number(initializer: Identifier, setting: str) -> float:
    return float(initializer.setting(setting))


def _not_negative(initializer: Identifier, setting: str) -> float:
    value = _number(initializer, setting)
    if not value >= 0:
        raise InputError(f"{setting} of initializer '{initializer.class_name}' is {value}; expected 0 or more")
    return value


def _one_of(initializer: Identifier, setting: str, known: tuple[str, ...]) -> str:
    value: Any = initializer.setting(setting)
    name = str(value).lower()
    if name not in known:
        close = nearest(name, known)
        raise InputError(
            f"{setting} of initializer '{initializer.class_name}' is '{value}'; expected one of {', '.join(known)}"
            + (f" (did you mean '{close}'?)" if close else "")
        )
    return name


_DRAWS: dict[str, _Draw] = {
    "zeros": _fill(0.0),
    "ones": _fill(1.0),
    "constant": _constant,
    "identity": _identity,
    "random_normal": _random_normal,
    "truncated_normal": _truncated_normal,
    "random_uniform": _random_uniform,
    "variance_scaling": _variance_scaling,
    "glorot_uniform": _preset(1.0, "fan_avg", "uniform"),
    "glorot_normal": _preset(1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _preset(2.0, "fan_in", "uniform"),
    "he_normal": _preset(2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _preset(1.0, "fan_in", "uniform"),
    "lecun_normal": _preset(1.0, "fan_in", "truncated_normal"),
    "orthogonal": _orthogonal,
}
