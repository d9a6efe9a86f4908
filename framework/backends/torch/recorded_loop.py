"""A loop over time in a graph that is recorded for any number of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Body = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]
"""One step: from what goes from step to step, and what it reads, to what goes on, and what it gives."""


def varying(sequence: Tensor) -> bool:
    """Whether the graph that is being recorded is for sequences ``(time, …)`` of any length; outside of recordings none is."""
    return isinstance(sequence.shape[0], torch.SymInt)


def over_time(body: Body, first: Sequence[Tensor], read: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """All steps as torch's own scan, which exported programs run as a loop and ONNX has an operator for.

    Args:
        body: one step; its results share no memory with what it is given, nor with one another.
        first: what goes from step to step, before the first one.
        read: ``(time, …)`` each.

    Returns:
        What the last step leaves, and what each step gave, ``(time, …)``.
    """
    from torch._higher_order_ops.scan import scan

    def own(tensor: Tensor) -> Tensor:
        return tensor.clone(memory_format=torch.contiguous_format)

    def apart(held: list[Tensor], now: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        after, given = body(held, now)
        return [one.contiguous() for one in after], [own(one) for one in given]

    # In memory of its own, and in order, is all that scan takes without a word.
    last, given = scan(apart, [own(one) for one in first], [own(one) for one in read])
    return list(last), list(given)
