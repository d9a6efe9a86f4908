"""Checks of the layer's constructor arguments, before Keras sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import keras

from framework.backends.tensorflow.gru.errors import ArgumentError
from framework.errors import nearest
from framework.spec.identifiers import CONSTRAINTS, INITIALIZERS, REGULARIZERS

KERAS_ARGUMENTS = ("name", "dtype", "trainable", "autocast", "seed", "use_cudnn", "zero_output_for_mask")
"""Keyword arguments of Keras' layers that this one takes besides the documented ones."""

SHAPE_ARGUMENTS = ("batch_input_shape", "batch_shape", "input_shape", "input_dim", "input_length", "batch_size")
"""Forms in which older code gives the input's shape to a layer."""

_GETTERS: dict[str, Callable[[Any], Any]] = {
    "initializer": keras.initializers.get,
    "regularizer": keras.regularizers.get,
    "constraint": keras.constraints.get,
}
_NAMES = {"initializer": INITIALIZERS, "regularizer": REGULARIZERS, "constraint": CONSTRAINTS}

IGNORED_ARGUMENTS = ("dynamic", "enable_caching_device", "return_runtime")
"""Arguments of older Keras versions that change no result; accepted where they are off."""


def check_units(units: Any) -> int:
    """``units`` as an int.

    Raises:
        ArgumentError: it is not a positive whole number.
    """
    if isinstance(units, bool) or not isinstance(units, Integral) or units <= 0:
        raise ArgumentError(f"units={units!r}: expected a positive whole number")
    return int(units)


def check_rate(name: str, rate: Any) -> float:
    """A dropout rate as a float.

    Raises:
        ArgumentError: it is no number from 0 to 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0.0 <= float(rate) <= 1.0:
        raise ArgumentError(f"{name}={rate!r}: expected a number from 0 to 1")
    return float(rate)


def check_implementation(implementation: Any) -> int:
    """``implementation`` as 1 or 2; 0, which old configs hold, has meant 2 since TensorFlow 2.0.

    Raises:
        ArgumentError: it is another value.
    """
    if isinstance(implementation, bool) or implementation not in (0, 1, 2):
        raise ArgumentError(f"implementation={implementation!r}: expected 1 (smaller products) or 2 (fused products)")
    return int(implementation) or 2


def check_flag(name: str, flag: Any) -> bool:
    """A boolean argument.

    Raises:
        ArgumentError: it is no boolean.
    """
    if flag not in (True, False):
        raise ArgumentError(f"{name}={flag!r}: expected true or false")
    return bool(flag)


def check_use_cudnn(use_cudnn: Any) -> bool | str:
    """``use_cudnn`` as True, False or ``"auto"``.

    Raises:
        ArgumentError: it is another value.
    """
    if use_cudnn not in (True, False, "auto"):
        raise ArgumentError(f"use_cudnn={use_cudnn!r}: expected True, False or 'auto'")
    return use_cudnn if use_cudnn == "auto" else bool(use_cudnn)


def resolve(name: str, identifier: Any) -> Any:
    """The object of an initializer, a regularizer or a constraint.

    Args:
        name: of the argument, which ends with the kind.
        identifier: a Keras name, config or object, or None.

    Raises:
        ArgumentError: there is no such thing.
    """
    kind = name.rsplit("_", 1)[1]
    try:
        # The documented layer knows both of this regularizer's names, Keras 3 only one.
        return _GETTERS[kind]("l1l2" if isinstance(identifier, str) and identifier == "l1_l2" else identifier)
    except (ValueError, TypeError) as error:
        close = nearest(identifier, _NAMES[kind]) if isinstance(identifier, str) else None
        hint = f"; did you mean {close!r}?" if close else ""
        raise ArgumentError(f"{name}={identifier!r} is no {kind}: expected a Keras name, config or object{hint}") from error


def check_keywords(keywords: dict[str, Any], documented: Sequence[str]) -> None:
    """Refuses keyword arguments that nobody knows and drops those without an effect.

    Raises:
        ArgumentError: an argument is unknown, or asks for what Keras 3 no longer has.
    """
    for name in IGNORED_ARGUMENTS:
        if keywords.pop(name, False):
            raise ArgumentError(f"{name}=True: Keras 3 has no such mode; expected it to be left out")
    known = (*KERAS_ARGUMENTS, *SHAPE_ARGUMENTS, "weights")
    for name in keywords:
        if name not in known:
            close = nearest(name, (*known, *documented))
            raise ArgumentError(f"GRU has no argument {name!r}" + (f"; did you mean {close!r}?" if close else ""))


def take_input_shape(keywords: dict[str, Any]) -> tuple[int | None, ...] | None:
    """Takes the shape arguments out of ``keywords``.

    Returns:
        The input's full shape, ``(batch, time, features)`` or ``(time, batch, features)`` with ``time_major``, or None when not given.

    Raises:
        ArgumentError: it has not three axes.
    """
    given = {name: keywords.pop(name) for name in SHAPE_ARGUMENTS if name in keywords}
    full = given.get("batch_input_shape", given.get("batch_shape"))
    name = "batch_shape" if "batch_shape" in given and "batch_input_shape" not in given else "batch_input_shape"
    if full is None and "input_shape" in given:
        name, full = "input_shape", (given.get("batch_size"), *given["input_shape"])
    if full is None and given.get("input_dim") is not None:
        name, full = "input_dim", (given.get("batch_size"), given.get("input_length"), given["input_dim"])
    if full is None:
        return None
    full = tuple(full)
    if len(full) != 3 or not isinstance(full[2], Integral) or not all(size is None or isinstance(size, Integral) for size in full):
        axes = "(time, features)" if name == "input_shape" else "(batch, time, features)"
        raise ArgumentError(f"{name}={tuple(full[1:]) if name == 'input_shape' else full}: expected {axes} with known features")
    return tuple(None if size is None else int(size) for size in full)
