"""The GRU over a whole sequence as one differentiable operation with a hand-written backward pass."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from framework.backends.torch.gru.gates import kernel_gradient, project, project_back
from framework.backends.torch.gru.loop import Cell, Masks, Weights, loop
from framework.backends.torch.gru.products import turned
from framework.backends.torch.gru.slopes import slope_of
from framework.backends.torch.gru.tape import Recurrence, Tape, run, run_back
from framework.backends.torch.second_order import plain_gradients
from framework.backends.torch.tracing import ordinary


def scannable(cell: Cell) -> bool:
    """Whether the scan can run a cell: its activations must have hand-written derivatives."""
    return slope_of(cell.activation) is not None and slope_of(cell.recurrent_activation) is not None


def scan(
    inputs: Tensor,
    state: Tensor,
    weights: Weights,
    cell: Cell,
    mask: Tensor | None = None,
    input_masks: Masks = None,
    recurrent_masks: Masks = None,
) -> tuple[Tensor, Tensor]:
    """Every state of a sequence, and the last one; the same numbers as :func:`framework.backends.torch.gru.loop.loop`.

    Three things make it fast: one product projects the inputs of all steps, and one gives each weight gradient; the derivatives are
    written by hand, as factors made for many steps at once; the products of the steps use oneDNN's prepacked form where it is faster.

    Args:
        inputs: ``(time, batch, features)``.
        state: ``(batch, units)`` before the first step.
        weights: of the layer.
        cell: of the layer; see :func:`scannable`.
        mask: ``(time, batch) bool``; a step that is False carries the state on, and what its input holds does not matter.
        input_masks: dropout on the inputs, one mask ``(batch, features)`` or three for z, r, h.
        recurrent_masks: dropout on the state, three masks ``(batch, units)``.

    Returns:
        ``(time, batch, units)``, the state after each step, and ``(batch, units)``, the last.
    """
    if input_masks and len(input_masks) == 1:
        inputs, input_masks = inputs * input_masks[0], None
    if mask is not None:
        inputs = inputs.masked_fill(~mask[:, :, None], 0.0)
    tensors = (inputs, state, weights.kernel, weights.recurrent_kernel, weights.bias)
    keep = torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)
    settings = ScanSettings(cell, mask, tuple(input_masks or ()), tuple(recurrent_masks or ()), keep)
    states, last = _Scan.apply(*tensors, settings)  # type: ignore[no-untyped-call]
    return states, last


class ScanSettings:
    """What of a scan is not differentiated.

    Args:
        cell: of the layer.
        mask: ``(time, batch) bool``, or None.
        input_masks: dropout on the inputs, for each gate.
        recurrent_masks: dropout on the state, for each gate.
        keep: whether a backward pass is to come.
    """

    def __init__(
        self, cell: Cell, mask: Tensor | None, input_masks: tuple[Tensor, ...], recurrent_masks: tuple[Tensor, ...], keep: bool
    ) -> None:
        self.cell, self.mask, self.input_masks, self.recurrent_masks, self.keep = cell, mask, input_masks, recurrent_masks, keep

    def recurrence(self, weights: Weights) -> Recurrence:
        """What the loops over time need."""
        activation, recurrent_activation = slope_of(self.cell.activation), slope_of(self.cell.recurrent_activation)
        assert activation is not None and recurrent_activation is not None
        skipped = None if self.mask is None else ~self.mask[:, :, None]
        bias = weights.recurrent_bias
        kernel = weights.recurrent_kernel
        return Recurrence(activation, recurrent_activation, self.cell.reset_after, kernel, bias, self.recurrent_masks, skipped)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, settings: ScanSettings
    ) -> tuple[Tensor, Tensor]:
        weights = Weights(kernel, recurrent_kernel, bias)
        gates = project(inputs, kernel, weights.input_bias, settings.input_masks)
        tape = run(gates, state, settings.recurrence(weights), settings.keep)
        if settings.keep:
            ctx.settings = settings
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(inputs, state, kernel, recurrent_kernel, bias, tape.states, tape.gates, tape.inner)
        return tape.states[1:], tape.states[-1].clone()

    @staticmethod
    def backward(ctx: Any, d_states: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs, state, kernel, recurrent_kernel, bias, states, gates, inner = ctx.saved_tensors
        if d_states is None and d_last is None:
            return (None,) * 6
        settings: ScanSettings = ctx.settings
        weights = Weights(kernel, recurrent_kernel, bias)
        needed: tuple[bool, ...] = ctx.needs_input_grad
        if torch.is_grad_enabled() or not ordinary(d_states, d_last):
            again = partial(_plain, settings=settings)
            return (*plain_gradients(again, (inputs, state, kernel, recurrent_kernel, bias), needed, (d_states, d_last)), None)
        recurrence = settings.recurrence(weights)
        gradients, d_state = run_back(Tape(states, gates, inner), recurrence, d_states, d_last, to_state=needed[1])
        return (*weight_gradients(inputs, states, gates, weights, settings, gradients, d_state, needed), None)


def weight_gradients(
    inputs: Tensor,
    states: Tensor,
    gates: Tensor,
    weights: Weights,
    settings: ScanSettings,
    gradients: Tensor,
    d_state: Tensor | None,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients of inputs, first state, kernel, recurrent kernel and bias; one product each.

    Args:
        inputs: ``(time, batch, features)``.
        states: ``(time + 1, batch, units)``, the first one before the first step.
        gates: ``(time, batch, 3·units)``, as the forward pass left them.
        weights: of the layer.
        settings: of the scan.
        gradients: of the pre-activations, as :func:`~framework.backends.torch.gru.tape.run_back` gives them.
        d_state: of the first state.
        needed: which of them are wanted, in this order; the others are None.
    """
    units, before = weights.units, states[:-1]
    input_masks = (settings.input_masks[2], *settings.input_masks[:2]) if settings.input_masks else ()
    d_inputs = d_kernel = d_recurrent = d_bias = None
    if needed[0] and not input_masks and gradients[..., 0].numel() < len(weights.kernel):  # what is smaller is put in the other's order
        d_inputs = project_back(first_last(gradients[..., : 3 * units], units), weights.kernel, ())
    elif needed[0]:
        d_inputs = project_back(gradients[..., : 3 * units], last_first(weights.kernel, units), input_masks)
    # n, z, r, and the product that r multiplied.
    by_gate = turned(gradients.flatten(0, 1), before.flatten(0, 1)) if needed[2] or needed[3] else gradients
    if needed[2]:
        d_kernel = weights.kernel.new_empty(weights.kernel.shape)
        kernel_gradient(inputs, by_gate[:units], input_masks[:1], d_kernel[:, 2 * units :])
        kernel_gradient(inputs, by_gate[units : 3 * units], input_masks[1:], d_kernel[:, : 2 * units])
    if needed[3]:
        masks = settings.recurrent_masks
        d_recurrent = weights.recurrent_kernel.new_empty(weights.recurrent_kernel.shape)
        if settings.cell.reset_after:
            kernel_gradient(before, by_gate[units:], masks, d_recurrent)
        else:
            slope = slope_of(settings.cell.recurrent_activation)
            assert slope is not None
            reset = slope.value(gates[..., : 2 * units])[..., units:] * before
            if settings.mask is not None:
                reset.masked_fill_(~settings.mask[:, :, None], 0.0)
            kernel_gradient(before, by_gate[units:], masks[:2], d_recurrent[:, : 2 * units])
            kernel_gradient(reset, by_gate[:units], masks[2:], d_recurrent[:, 2 * units :])
    if weights.bias is not None and needed[4]:
        summed = gradients.sum((0, 1))
        d_input_bias = first_last(summed[: 3 * units], units)
        d_bias = torch.stack([d_input_bias, summed[units:]]) if settings.cell.reset_after else d_input_bias
    return d_inputs, d_state, d_kernel, d_recurrent, d_bias


def last_first(kernel: Tensor, units: int) -> Tensor:
    """Gates z, r, h to h, z, r."""
    return torch.cat([kernel[..., 2 * units :], kernel[..., : 2 * units]], dim=-1)


def first_last(kernel: Tensor, units: int) -> Tensor:
    """Gates h, z, r to z, r, h."""
    return torch.cat([kernel[..., units:], kernel[..., :units]], dim=-1)


def _plain(
    inputs: Tensor, state: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, settings: ScanSettings
) -> tuple[Tensor, Tensor]:
    """What the scan gives, by the plain loop."""
    weights = Weights(kernel, recurrent_kernel, bias)
    states = loop(inputs, state, weights, settings.cell, settings.mask, settings.input_masks, settings.recurrent_masks)
    return states, states[-1]
