"""Gradients of an operation with a hand-written backward pass, once more by plain operations, which can be differentiated again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def plain_gradients(
    run: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor | None], needed: Sequence[bool], given: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """The gradients of ``tensors``.

    Args:
        run: the operation in plain form; takes the tensors, gives the outputs.
        tensors: what it was run on.
        needed: which of them want a gradient; the others get None.
        given: the gradient of each output, or None.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Each stands for itself: one may have been made with another, and a gradient of one must not run on into the other.
        apart = [None if one is None else one.view_as(one) for one in tensors]
        wanted = [one.requires_grad_() for one, need in zip(apart, needed, strict=False) if need and one is not None]
        pairs = [(output, gradient) for output, gradient in zip(run(*apart), given, strict=True) if gradient is not None]
        results, gradients = [output for output, _ in pairs], [gradient for _, gradient in pairs]
        found = iter(torch.autograd.grad(results, wanted, gradients, create_graph=again, allow_unused=True))
    return tuple(next(found) if need and one is not None else None for one, need in zip(apart, needed, strict=False))
