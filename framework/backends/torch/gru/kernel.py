"""torch's own GRU kernel, cuDNN's on a GPU, with what it lacks lifted around it: Keras' weights, no bias, and any mask."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from framework.backends.torch.gru.loop import Weights
from framework.backends.torch.tracing import jit_traced


def run_kernel(inputs: Tensor, state: Tensor, weights: Weights, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Every state of a sequence, and the last one, for tanh, sigmoid and ``reset_after``; differentiable.

    Args:
        inputs: ``(time, batch, features)``.
        state: ``(batch, units)`` before the first step.
        weights: in Keras' layout; a missing bias runs as zeros.
        mask: ``(time, batch) bool`` of any pattern; a step that is False carries the state on.

    Returns:
        ``(time, batch, units)``, the state after each step, and ``(batch, units)``, the last.
    """
    if mask is None:
        return _call(inputs, state, weights)
    places = mask.cumsum(0)
    order = torch.argsort(mask.logical_not().to(torch.uint8), dim=0, stable=True)
    longest = len(inputs) if mask.is_cuda else max(1, int(places[-1].max()))
    # What masked steps hold must not reach the weights' gradients, not even as 0 times infinity.
    valid = inputs.masked_fill(~mask[:, :, None], 0.0)
    compact = valid.gather(0, order[:longest, :, None].expand(-1, -1, inputs.shape[2]))
    # A row's steps after its valid ones come last: they change none of the states that are read back.
    states, _ = _call(compact, state, weights)
    states = torch.cat([state[None], states]).gather(0, places[:, :, None].expand(-1, -1, weights.units))
    return states, states[-1]


def _call(inputs: Tensor, state: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    parameters = _parameters(weights)
    # cuDNN keeps what a backward pass needs only where it is told that it trains, whatever autograd records; what is traced may be trained.
    train = jit_traced() or (torch.is_grad_enabled() and any(one.requires_grad for one in (inputs, state, *parameters)))
    states, last = torch.gru(inputs, state[None].contiguous(), parameters, True, 1, 0.0, train, False, False)
    return states, last[0]


def _parameters(weights: Weights) -> list[Tensor]:
    """The ``weight_ih (3·units, features)``, ``weight_hh``, ``bias_ih`` and ``bias_hh`` of torch, gates r, z, n.

    On a GPU they lie in one stretch of memory in this order: cuDNN reads weights there without copying them once more. A CPU's products
    take them as they are, turned over.
    """
    bias = weights.bias if weights.bias is not None else weights.kernel.new_zeros(2, 3 * weights.units)
    ordered = [_swap(weights.kernel).t(), _swap(weights.recurrent_kernel).t(), *_swap(bias).unbind(0)]
    if not weights.kernel.is_cuda:
        return ordered
    return one_stretch(ordered)


def one_stretch(ordered: list[Tensor]) -> list[Tensor]:
    """The same tensors one behind the other in one piece of memory."""
    flat = torch.cat([one.flatten() for one in ordered])
    ends = accumulate(one.numel() for one in ordered)
    return [flat[end - one.numel() : end].view(one.shape) for end, one in zip(ends, ordered, strict=True)]


def _swap(weight: Tensor) -> Tensor:
    """Gates z, r, h along the last axis to r, z, h."""
    z, r, h = weight.chunk(3, dim=-1)
    return torch.cat([r, z, h], dim=-1)
