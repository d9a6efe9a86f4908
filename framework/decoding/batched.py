"""Inputs of many lengths, worked on in batches of like lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def by_length(lengths: Sequence[int], batch_size: int, work: Callable[[list[int]], Sequence[Result]]) -> list[Result]:
    """Results for all inputs in their own order, made in batches of like lengths, so that little padding is worked on.

    Args:
        lengths: of each input.
        batch_size: inputs of a batch at most.
        work: from the numbers of a batch's inputs to a result for each. The longest come first: if memory does not suffice, it shows at
            once.
    """
    order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    results: dict[int, Result] = {}
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        results.update(zip(batch, work(batch), strict=True))
    return [results[number] for number in range(len(lengths))]
