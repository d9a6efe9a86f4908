"""Sentences or pairs of like length, put together in batches of fixed members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batch
from framework.data.sentences.batches import MARKED, RowBatches, Rows

Lengths = Callable[[Rows], Sequence[NDArray[np.uint32]]]
"""Tokens of rows, without markers: of sentences, or first of those to read and then of those to write."""

_CHUNK = 1 << 20
_LONGEST = 0xFFFF

_BESIDE_EPOCHS = 2**32
"""Draws the members by another stream of random numbers than any epoch's order."""


def by_length(lengths: Lengths, rows: Rows, seed: int) -> Rows:
    """The rows, shortest first; which of equally long ones comes first is drawn by the seed."""
    drawn = np.random.default_rng((seed, _BESIDE_EPOCHS)).permutation(rows)
    # One number holds a row's length, that of its first side, and its place among the drawn: sorted where they are, with no more memory.
    numbers = np.arange(drawn.size, dtype=np.uint64)
    for at in range(0, drawn.size, _CHUNK):
        sides = [np.minimum(side, _LONGEST).astype(np.uint64) for side in lengths(drawn[at : at + _CHUNK])]
        numbers[at : at + _CHUNK] |= (reduce(np.maximum, sides) << np.uint64(48)) | (sides[0] << np.uint64(32))
    numbers.sort()
    for at in range(0, drawn.size, _CHUNK):
        numbers[at : at + _CHUNK] = drawn[numbers[at : at + _CHUNK] & np.uint64(0xFFFFFFFF)]
    return numbers.astype(np.uint32)


def borders_by_rows(count: int, batch_size: int, drop_remainder: bool) -> NDArray[np.int64]:
    """Where each batch of so many rows begins, and the end; a last batch that is not full may be left out."""
    borders = np.arange(0, count + 1, batch_size)
    return borders if drop_remainder or borders[-1] == count else np.append(borders, count)


def borders_by_tokens(lengths: Lengths, rows: Rows, batch_tokens: int) -> NDArray[np.int64]:
    """Where each batch of at most so many tokens begins, and the end.

    A batch's tokens are its rows times its longest sentence on any side, markers counted, as far as the rows' order lets one fill
    it. A row that has more alone is a batch of its own.
    """
    sizes = np.empty(rows.size, np.uint32)
    for at in range(0, rows.size, _CHUNK):
        sizes[at : at + _CHUNK] = reduce(np.maximum, lengths(rows[at : at + _CHUNK])) + MARKED
    shortest = int(sizes.min(initial=batch_tokens))
    most = max(1, batch_tokens // max(1, shortest))
    borders, start = [0], 0
    while start < rows.size:
        longest = np.maximum.accumulate(sizes[start : start + most].astype(np.int64))
        fitting = np.searchsorted(longest * np.arange(1, longest.size + 1), batch_tokens, side="right")
        start += max(1, int(fitting))
        borders.append(start)
    return np.array(borders, np.int64)


def row_batches(
    batch_of: Callable[[Rows], Batch],
    lengths: Lengths,
    rows: Rows,
    batch_size: int,
    drop_remainder: bool,
    seed: int | None,
    order: Literal["shuffled", "buckets"] = "shuffled",
    batch_tokens: int | None = None,
) -> RowBatches:
    """Batches in the order that a config asks for.

    Args:
        batch_of: makes the batch of some rows.
        lengths: see :data:`Lengths`.
        rows: their numbers.
        batch_size: rows of a full batch.
        drop_remainder: leave out a last batch that is not full.
        seed: of the orders; None: the rows' own order, which no bucket changes.
        order: shuffled, or rows of like length together.
        batch_tokens: tokens of a batch at most, in place of ``batch_size``.
    """
    borders = None
    if order == "buckets" and seed is not None:
        rows = by_length(lengths, rows, seed)
        borders = borders_by_rows(rows.size, batch_size, drop_remainder)
    if batch_tokens is not None:
        borders = borders_by_tokens(lengths, rows, batch_tokens)
        batch_size = int((borders[1:] - borders[:-1]).max())
    return RowBatches(batch_of, rows, batch_size, drop_remainder, seed, borders)
