"""A GRU's states: the one a call starts from, and the one that a stateful layer keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framework.backends.torch.gru.settings import GRUSettings
from framework.backends.torch.precision import compute_dtype
from framework.backends.torch.recomputation import Call
from framework.errors import InputError


def zeros(layer: GRUSettings, batch: int, like: Tensor | None = None) -> Tensor:
    """``(batch, units)`` in what the layer computes in; before it has weights, like ``like``."""
    weight = layer.recurrent_kernel
    if weight is not None:
        dtype = compute_dtype(weight.device.type, weight.dtype, layer.dtype)
        return torch.zeros(batch, layer.units, device=weight.device, dtype=dtype)
    floating = like is not None and like.is_floating_point()
    device, dtype_given = (None if like is None else like.device), (like.dtype if floating and like is not None else None)
    return torch.zeros(batch, layer.units, device=device, dtype=dtype_given)


def keep(layer: GRUSettings, state: Tensor) -> None:
    """Makes a state the one that a stateful layer goes on from."""
    weight = layer.recurrent_kernel
    like = state if weight is None else weight
    dtype = state.dtype if weight is None else compute_dtype(like.device.type, like.dtype, layer.dtype)
    # A state kept in inference mode, as Lightning validates, must serve the training step after it.
    with torch.inference_mode(False):
        layer.state = state.detach().to(device=like.device, dtype=dtype, copy=True)


def moved(state: Tensor | None, move: Callable[[Tensor], Tensor]) -> Tensor | None:
    """A kept state where, and in what data type, the weights are now; zeros after a time without values."""
    if state is None:
        return None
    there = move(state)
    return torch.zeros_like(there) if state.is_meta else there


def reset(layer: GRUSettings, states: Any) -> None:
    """What ``reset_states`` does."""
    if not layer.stateful:
        raise InputError(f"{layer.label}: reset_states needs stateful=True; this layer keeps no state")
    fixed = layer.arguments.shape.batch
    if states is None:
        batch = fixed if layer.state is None else layer.state.shape[0]
        if batch is not None:
            keep(layer, zeros(layer, batch))
        return
    state = single_state(states, "states", layer.label)
    expected = (state.shape[0] if fixed is None and state.dim() else fixed, layer.units)
    if tuple(state.shape) != expected:
        raise InputError(f"{layer.label}: states has the shape {tuple(state.shape)}; it must be (batch, units), here {expected}")
    keep(layer, state)


def first_state(layer: GRUSettings, given: Any, sequence: Tensor, call: Call | None) -> Tensor:
    """The state ``(batch, units)`` that a call starts from.

    Args:
        layer: that is called.
        given: with the call, or None: the kept one, or zeros.
        sequence: ``(time, batch, features)``.
        call: the call, where running it again would move something.

    Raises:
        InputError: its shape does not fit, or the kept one is of another number of rows.
    """
    batch = sequence.shape[1]
    kept = layer.state if call is None or not layer.stateful else call.first("kept state", layer.state)
    if given is None:
        _check_batch(layer, batch, kept)
        if not layer.stateful or kept is None:
            return sequence.new_zeros(batch, layer.units)
        given = kept
    state = single_state(given, "initial_state", layer.label)
    if tuple(state.shape) != (batch, layer.units):
        raise InputError(
            f"{layer.label}: initial_state has the shape {tuple(state.shape)}; for this input it must be {(batch, layer.units)}, "
            "that is (batch, units)"
        )
    return state.to(device=sequence.device, dtype=sequence.dtype)


def single_state(states: Any, argument: str, label: str) -> Tensor:
    """The one state in ``states``: a tensor, an array, or a list of one of them.

    Raises:
        InputError: there are several.
    """
    if isinstance(states, (list, tuple)) and not all(isinstance(one, (int, float)) for one in states):
        if len(states) != 1:
            raise InputError(f"{label}: {argument} has {len(states)} states; a GRU has one")
        states = states[0]
    return states if isinstance(states, Tensor) else torch.as_tensor(np.asarray(states))


def _check_batch(layer: GRUSettings, batch: int, kept: Tensor | None) -> None:
    expected = layer.arguments.shape.batch if kept is None else kept.shape[0]
    if layer.stateful and expected is not None and batch != expected:
        raise InputError(
            f"{layer.label} is stateful and keeps {expected} rows, but this batch has {batch}; "
            "every batch must have the same number of rows (reset_states(states) with another number changes it)"
        )
