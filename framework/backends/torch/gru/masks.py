"""Time-step masks: what may be given, and what a masked step puts out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from framework.errors import InputError


def read_mask(mask: Any, batch: int, steps: int, time_major: bool, device: torch.device) -> Tensor | None:
    """A call's ``mask`` as ``(time, batch) bool``, or None.

    Args:
        mask: ``(batch, time)``, or ``(time, batch)`` with ``time_major``; a tensor or array of booleans or numbers, where nonzero
            means that the step counts; or a list with one of these.
        batch: rows of the input.
        steps: length of the input.
        time_major: layout of the input.
        device: of the input.

    Raises:
        InputError: the mask has another shape.
    """
    if isinstance(mask, (list, tuple)) and len(mask) == 1:
        mask = mask[0]
    if mask is None:
        return None
    tensor = torch.as_tensor(mask, device=device)
    expected = (steps, batch) if time_major else (batch, steps)
    if tuple(tensor.shape) != expected:
        layout = "(time, batch)" if time_major else "(batch, time)"
        raise InputError(f"mask has the shape {tuple(tensor.shape)}; for this input it must be {expected}, that is {layout}")
    tensor = tensor if tensor.dtype == torch.bool else tensor != 0
    return tensor if time_major else tensor.t()


def visible_steps(mask: Tensor, zero_output_for_mask: bool) -> Tensor:
    """Where the output sequence shows the state; it is zero elsewhere.

    A masked step carries the state on and repeats the output before it. So the output is the state from the first valid step on,
    and zeros before; with ``zero_output_for_mask``, it is the state at valid steps only.

    Args:
        mask: ``(time, batch) bool`` in the order of processing.
        zero_output_for_mask: give zeros at every masked step.

    Returns:
        ``(time, batch) bool``.

    Source: Keras, ``keras.backend.rnn`` ("zero_output_for_mask").
    """
    return mask if zero_output_for_mask else mask.long().cumsum(0) > 0


def output_mask(mask: Any, time_major: bool, go_backwards: bool) -> Tensor | None:
    """The inputs' mask, which may stand in a list, in the order of the outputs."""
    given = mask[0] if isinstance(mask, (list, tuple)) else mask
    if given is None:
        return None
    through = torch.as_tensor(given)
    return through.flip(0 if time_major else 1) if go_backwards else through
