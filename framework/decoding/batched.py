"""Inputs of many lengths, worked on in batches of like lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def by_length(lengths: Sequence[int], rows: int, places: int, work: Callable[[list[int]], Sequence[Result]]) -> list[Result]:
    """Results for all inputs in their own order, made in batches of like lengths, so that little padding is worked on.

    The longest come first: if memory does not suffice, it shows at once.

    Args:
        lengths: of each input.
        rows: inputs of a batch at most.
        places: rows times longest input of a batch at most; an input that is longer is a batch of its own.
        work: from the numbers of a batch's inputs to a result for each.
    """
    order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    results: dict[int, Result] = {}
    first = 0
    while first < len(order):
        count = max(1, min(rows, places // max(1, lengths[order[first]])))
        batch = order[first : first + count]
        results.update(zip(batch, work(batch), strict=True))
        first += count
    return [results[number] for number in range(len(lengths))]
