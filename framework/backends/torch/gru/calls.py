"""A call of a GRU: what is given, read and checked, and what it came to in the form that was asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from framework.backends.base.gru_arguments import mask_count
from framework.backends.torch.gru.masks import visible_steps
from framework.backends.torch.gru.routes import Sequences
from framework.backends.torch.gru.settings import GRUSettings
from framework.backends.torch.precision import autocasts, compute_dtype
from framework.backends.torch.recomputation import Call
from framework.backends.torch.tracing import ordinary, recorded, refuse_recording, transformed
from framework.errors import InputError


def read_inputs(layer: GRUSettings, inputs: Any, initial_state: Any) -> tuple[Tensor, Any]:
    """``inputs`` as ``(time, batch, features)``, and the first state.

    Raises:
        InputError: a shape or data type does not fit.
    """
    if isinstance(inputs, (list, tuple)):
        if len(inputs) > 1 and initial_state is not None:
            raise InputError(f"{layer.label}: the first state is given twice, in inputs and as initial_state")
        initial_state = list(inputs[1:]) or initial_state
        inputs = inputs[0]
    tensor = inputs if isinstance(inputs, Tensor) else torch.as_tensor(inputs)
    if tensor.dim() != 3:
        layout = "(time, batch, features)" if layer.time_major else "(batch, time, features)"
        raise InputError(f"{layer.label}: inputs has the shape {tuple(tensor.shape)}; it must be {layout}")
    if not tensor.is_floating_point():
        raise InputError(f"{layer.label}: inputs has the data type {tensor.dtype}; it must be a floating-point type such as float32")
    sequence = tensor if layer.time_major else tensor.transpose(0, 1)
    if not sequence.shape[0]:  # and not its len(), which a recorder would take for a constant
        raise InputError(f"{layer.label}: inputs has no time steps, its shape is {tuple(tensor.shape)}")
    return sequence, initial_state


def in_compute_type(layer: GRUSettings, sequence: Tensor) -> Tensor:
    """Inputs in what the layer, which has weights, computes in.

    Raises:
        InputError: they are not as wide as those that the layer is built for.
    """
    check_width(layer, sequence.shape[-1])
    assert layer.recurrent_kernel is not None
    return sequence.to(compute_dtype(sequence.device.type, layer.recurrent_kernel.dtype, layer.dtype))


def check_width(layer: GRUSettings, features: int) -> None:
    """Refuses inputs that are not as wide as those that the layer is built for.

    Raises:
        InputError: names both.
    """
    if layer.kernel is not None and layer.kernel.shape[0] != features:
        raise InputError(f"{layer.label}: inputs are {features} wide; the layer is built for {layer.kernel.shape[0]}")


def enter(layer: GRUSettings, training: bool) -> Call | None:
    """The call, where running it again would move something: dropout, or a kept state.

    Raises:
        UnsupportedArgument: a tracer or an export records dropout.
    """
    if training and (layer.dropout or layer.recurrent_dropout):
        refuse_recording(layer.label, "the dropout mask of a layer in training", "call eval() on the model first")
    elif not layer.stateful or recorded() or transformed() or not (training or torch.is_grad_enabled()):
        return None
    return layer.call_log.enter(layer.label)


def with_dropout(layer: GRUSettings, sequence: Tensor, state: Tensor, mask: Tensor | None, training: Call | None) -> Sequences:
    """What is to be run, with the dropout masks of a call in training, which is given then."""
    batch, features = sequence.shape[1:]
    of_inputs: list[Tensor] = []
    of_state: list[Tensor] = []
    if training is not None and layer.dropout:
        of_inputs = layer.dropout_masks.apply_next(training, batch, sequence, features, mask_count(layer.implementation))
    if training is not None and layer.recurrent_dropout:
        of_state = layer.recurrent_dropout_masks.apply_next(training, batch, sequence, layer.units, 3)
    return Sequences(sequence, state, mask, of_inputs, of_state)


def without_autocast(sequence: Tensor) -> AbstractContextManager[Any]:
    """Everything is in the data type of the computation by now; autocast would only cast again."""
    device = sequence.device.type
    return torch.autocast(device, enabled=False) if autocasts(device) else nullcontext()


def output_of(layer: GRUSettings, hidden: Tensor, last: Tensor, mask: Tensor | None) -> Tensor:
    """The outputs in the layout of the inputs, or the last one.

    Args:
        layer: that is called.
        hidden: every state ``(time, batch, units)``, in the order of processing.
        last: the last one ``(batch, units)``.
        mask: ``(time, batch) bool`` or None.
    """
    hides = None if mask is None else ~visible_steps(mask, layer.zero_output_for_mask)[:, :, None]
    if not layer.return_sequences:
        return last if hides is None else last.masked_fill(hides[-1], 0.0)
    shown = hidden if hides is None else hidden.masked_fill(hides, 0.0)
    if layer.time_major:
        return shown
    batch_major = shown.transpose(0, 1)
    # The scan's backward pass needs the states: a copy may be written over, and what reads it next wants it contiguous anyway.
    needed = hides is None and shown.requires_grad and ordinary(shown)
    return batch_major.clone(memory_format=torch.contiguous_format) if needed else batch_major
