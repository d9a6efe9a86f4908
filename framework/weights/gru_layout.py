"""The two layouts of a GRU's weights: Keras' and ``torch.nn.GRU``'s. What maps weights maps their gradients."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import CheckpointError, UnsupportedArgument

Array = NDArray[Any]
Weights = Mapping[str, Array]


def swap_gates(array: Array) -> Array:
    """Exchanges the first two of three gates along the last axis: Keras' order z, r, h and torch's r, z, n, either way.

    Args:
        array: ``(…, 3·units)``.

    Returns:
        A copy of the same shape.

    Raises:
        CheckpointError: the last axis does not hold three gates.
    """
    if array.ndim == 0 or array.shape[-1] % 3:
        raise CheckpointError(f"the last axis of shape {array.shape} does not hold the three gates of a GRU; expected a multiple of 3")
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)


def keras_to_torch(weights: Weights, layer: int = 0, reverse: bool = False) -> dict[str, Array]:
    """One direction of one layer, from Keras' layout to ``torch.nn.GRU``'s.

    Args:
        weights: ``kernel (features, 3·units)``, ``recurrent_kernel (units, 3·units)`` and, if there is one, ``bias (2, 3·units)`` (row 0
            with the inputs, row 1 with the state); gates z, r, h.
        layer: number of the layer in a stack, counted from 0.
        reverse: whether it is the direction that reads backwards.

    Returns:
        ``weight_ih_l0 (3·units, features)``, ``weight_hh_l0 (3·units, units)``, ``bias_ih_l0`` and ``bias_hh_l0 (3·units,)``, with the
        layer's number and ``_reverse``; gates r, z, n. Copies of the same types.

    Raises:
        UnsupportedArgument: the bias is that of ``reset_after=False``, which torch does not have.
        CheckpointError: a weight is missing, or shapes do not fit together.

    Source: Keras 3 documentation, "GRU layer"; PyTorch documentation, "GRU", for the equations of both.
    """
    kernel, recurrent = _get(weights, "kernel"), _get(weights, "recurrent_kernel")
    bias = weights.get("bias")
    if bias is not None and bias.ndim == 1:
        raise UnsupportedArgument(f"a bias of shape {bias.shape} belongs to reset_after=False, which torch.nn.GRU does not have")
    _check("kernel", kernel, (None, 3 * recurrent.shape[0]))
    _check("recurrent_kernel", recurrent, (None, 3 * recurrent.shape[0]))
    found = {"weight_ih": swap_gates(kernel).T, "weight_hh": swap_gates(recurrent).T}
    if bias is not None:
        _check("bias", bias, (2, 3 * recurrent.shape[0]))
        found["bias_ih"], found["bias_hh"] = swap_gates(bias)
    return {name + _suffix(layer, reverse): np.array(array, order="C") for name, array in found.items()}


def torch_to_keras(state: Weights, layer: int = 0, reverse: bool = False) -> dict[str, Array]:
    """One direction of one layer, from ``torch.nn.GRU``'s layout to Keras'; the reverse of :func:`keras_to_torch`.

    Args:
        state: the ``state_dict()`` of a ``torch.nn.GRU`` as NumPy arrays; what belongs to other layers is not read.
        layer: number of the layer, counted from 0.
        reverse: whether the direction that reads backwards is wanted.

    Returns:
        ``kernel``, ``recurrent_kernel`` and, if the layer has one, ``bias``. Copies of the same types.

    Raises:
        CheckpointError: a weight is missing, or shapes do not fit together.
    """
    suffix = _suffix(layer, reverse)
    kernel, recurrent = _get(state, "weight_ih" + suffix), _get(state, "weight_hh" + suffix)
    _check("weight_ih" + suffix, kernel, (3 * recurrent.shape[-1], None))
    _check("weight_hh" + suffix, recurrent, (3 * recurrent.shape[-1], None))
    found = {"kernel": swap_gates(kernel.T), "recurrent_kernel": swap_gates(recurrent.T)}
    if "bias_ih" + suffix in state:
        names = ["bias_ih" + suffix, "bias_hh" + suffix]
        for name in names:
            _check(name, _get(state, name), (3 * recurrent.shape[-1],))
        found["bias"] = swap_gates(np.stack([state[name] for name in names]))
    return {name: np.array(array, order="C") for name, array in found.items()}


def stack_to_torch(forward: Sequence[Weights], backward: Sequence[Weights] = ()) -> dict[str, Array]:
    """A stack of layers, from Keras' layout to one ``torch.nn.GRU``'s.

    Args:
        forward: weights of each layer, as :func:`keras_to_torch` takes them.
        backward: weights of each layer's other direction; none for a stack of one direction.

    Raises:
        UnsupportedArgument, CheckpointError: as :func:`keras_to_torch`; also when only some layers have two directions.
    """
    if backward and len(backward) != len(forward):
        raise CheckpointError(f"{len(forward)} layers read forwards and {len(backward)} backwards; expected as many or none")
    state: dict[str, Array] = {}
    for layer, weights in enumerate(forward):
        state |= keras_to_torch(weights, layer)
        if backward:
            state |= keras_to_torch(backward[layer], layer, reverse=True)
    return state


def stack_from_torch(state: Weights) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    """The layers of a ``torch.nn.GRU``, from its layout to Keras': those that read forwards, and those that read backwards.

    Raises:
        CheckpointError: there is no layer, a weight is missing, or shapes do not fit together.
    """
    layers = list(itertools.takewhile(lambda layer: f"weight_ih_l{layer}" in state, itertools.count()))
    if not layers:
        raise CheckpointError(f"no weight_ih_l0 among {', '.join(state) or 'no weights'}; expected the state of a torch.nn.GRU")
    forward = [torch_to_keras(state, layer) for layer in layers]
    two_ways = "weight_ih_l0_reverse" in state
    return forward, [torch_to_keras(state, layer, reverse=True) for layer in layers] if two_ways else []


def _suffix(layer: int, reverse: bool) -> str:
    return f"_l{layer}_reverse" if reverse else f"_l{layer}"


def _get(weights: Weights, name: str) -> Array:
    if name not in weights:
        raise CheckpointError(f"weight '{name}' of a GRU is missing among {', '.join(weights) or 'no weights'}")
    return weights[name]


def _check(name: str, array: Array, expected: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(expected) and all(want in (None, have) for want, have in zip(expected, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in expected)
        raise CheckpointError(f"weight '{name}' of a GRU has shape {array.shape}; expected ({wanted})")
