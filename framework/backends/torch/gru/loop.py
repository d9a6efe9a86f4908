"""The GRU's equations, one step after another, in plain torch: the form to read, to record, to transform, and to differentiate twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.backends.torch.activations import Activation
from framework.backends.torch.recorded_loop import over_time, varying


@dataclass(frozen=True)
class Cell:
    """What a GRU's step does beside its weights.

    Attributes:
        activation: of the candidate state.
        recurrent_activation: of the gates.
        reset_after: whether the reset gate is applied after the product with the recurrent kernel.
    """

    activation: Activation
    recurrent_activation: Activation
    reset_after: bool


@dataclass(frozen=True)
class Weights:
    """A GRU's weights in Keras' layout, gates z, r, h.

    Attributes:
        kernel: ``(features, 3·units)``.
        recurrent_kernel: ``(units, 3·units)``.
        bias: ``(2, 3·units)`` with ``reset_after`` (row 0 for the inputs, row 1 for the state), else ``(3·units,)``; or None.
    """

    kernel: Tensor
    recurrent_kernel: Tensor
    bias: Tensor | None

    @property
    def units(self) -> int:
        """Width of the state."""
        return self.recurrent_kernel.shape[0]

    @property
    def input_bias(self) -> Tensor | None:
        """``(3·units,)``, or None."""
        return self.bias[0] if self.bias is not None and self.bias.dim() == 2 else self.bias

    @property
    def recurrent_bias(self) -> Tensor | None:
        """``(3·units,)``, or None."""
        return self.bias[1] if self.bias is not None and self.bias.dim() == 2 else None


Masks = Sequence[Tensor] | None
"""No dropout; or three masks ``(batch, width)``, for z, r and h; on the inputs also one for all gates."""


def project(inputs: Tensor, weights: Weights, input_masks: Masks) -> Tensor:
    """``inputs (time, batch, features)`` times the kernel, with dropout and bias: ``(time, batch, 3·units)``."""
    if not input_masks:
        projected = inputs @ weights.kernel
    elif len(input_masks) == 1:
        projected = (inputs * input_masks[0]) @ weights.kernel
    else:
        kernels = weights.kernel.chunk(3, dim=1)
        projected = torch.cat([(inputs * mask) @ kernel for mask, kernel in zip(input_masks, kernels, strict=True)], dim=-1)
    return projected if weights.input_bias is None else projected + weights.input_bias


def step(projected: Tensor, state: Tensor, weights: Weights, cell: Cell, recurrent_masks: Masks = None) -> Tensor:
    """One step: from ``projected (batch, 3·units)`` and ``state (batch, units)`` to the new state.

    z = sigmoid(x_z + h U_z), r = sigmoid(x_r + h U_r), h' = z h + (1 - z) n, where the candidate is
    n = tanh(x_h + r (h U_h)) with ``reset_after`` (cuDNN's form), else n = tanh(x_h + (r h) U_h).

    Source: Cho et al. 2014, equations 5 to 8 (arXiv:1406.1078 v3 for ``reset_after=False``, v1 for the other).
    """
    x_z, x_r, x_h = projected.chunk(3, dim=-1)
    gates = 3 if cell.reset_after else 2
    inner = inner_products(state, weights, gates, recurrent_masks)
    z = cell.recurrent_activation(x_z + inner[0])
    r = cell.recurrent_activation(x_r + inner[1])
    if cell.reset_after:
        inner_h = r * inner[2]
    else:
        dropped = state if not recurrent_masks else state * recurrent_masks[-1]
        inner_h = (r * dropped) @ weights.recurrent_kernel[:, 2 * weights.units :]
    n = cell.activation(x_h + inner_h)
    return z * state + (1 - z) * n


def inner_products(state: Tensor, weights: Weights, gates: int, masks: Masks) -> Sequence[Tensor]:
    """``state (batch, units)``, dropped for each gate, times the recurrent kernels of the first ``gates`` gates, with bias."""
    kernel = weights.recurrent_kernel[:, : gates * weights.units]
    if masks:
        kernels = kernel.chunk(gates, dim=1)
        products = torch.cat([(state * mask) @ its_kernel for mask, its_kernel in zip(masks, kernels, strict=False)], dim=1)
    else:
        products = state @ kernel
    bias = weights.recurrent_bias
    return (products if bias is None else products + bias).chunk(gates, dim=1)


def loop(
    inputs: Tensor,
    state: Tensor,
    weights: Weights,
    cell: Cell,
    mask: Tensor | None = None,
    input_masks: Masks = None,
    recurrent_masks: Masks = None,
) -> Tensor:
    """Every state of a sequence.

    Args:
        inputs: ``(time, batch, features)``.
        state: ``(batch, units)`` before the first step.
        weights: of the layer.
        cell: of the layer.
        mask: ``(time, batch) bool``; a step that is False carries the state on.
        input_masks: dropout on the inputs, ``(batch, features)`` each.
        recurrent_masks: dropout on the state, ``(batch, units)`` each.

    Returns:
        ``(time, batch, units)``, the state after each step.
    """
    if varying(inputs):
        return _recorded(project(inputs, weights, input_masks), state, weights, cell, mask, recurrent_masks)
    if not inputs.shape[0]:
        return inputs.new_zeros(0, *state.shape)
    # Taken apart as a whole: a recorded loop then refuses a sequence of another length, where steps taken one by one would leave some out.
    counts = None if mask is None else mask[:, :, None].unbind(0)
    states = []
    for t, projected in enumerate(project(inputs, weights, input_masks).unbind(0)):
        new = step(projected, state, weights, cell, recurrent_masks)
        state = new if counts is None else torch.where(counts[t], new, state)
        states.append(state)
    return torch.stack(states)


def _recorded(projected: Tensor, state: Tensor, weights: Weights, cell: Cell, mask: Tensor | None, recurrent_masks: Masks) -> Tensor:
    """The same as one node of a graph that is recorded for any number of steps."""
    masked = mask is not None

    def body(held: list[Tensor], read: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new = step(read[0], held[0], weights, cell, recurrent_masks)
        after = torch.where(read[1], new, held[0]) if masked else new
        return [after], [after]

    _, (states,) = over_time(body, [state], [projected] if mask is None else [projected, mask[:, :, None]])
    return states
