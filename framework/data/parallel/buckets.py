"""Pairs of like length, put together in batches of fixed members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.data.parallel.batches import MARKED, Rows
from framework.data.parallel.store import SIDES, PairStore

_CHUNK = 1 << 20
_LONGEST = 0xFFFF

_BESIDE_EPOCHS = 2**32
"""Draws the members by another stream of random numbers than any epoch's order."""


def by_length(store: PairStore, rows: Rows, seed: int) -> Rows:
    """The rows, shortest pairs first; which of equally long ones comes first is drawn by the seed."""
    drawn = np.random.default_rng((seed, _BESIDE_EPOCHS)).permutation(rows)
    # One number holds a pair's length, its source's, and its place among the drawn: they are sorted where they are, with no more memory.
    numbers = np.arange(drawn.size, dtype=np.uint64)
    for at in range(0, drawn.size, _CHUNK):
        source, target = (np.minimum(store.lengths(drawn[at : at + _CHUNK], side), _LONGEST).astype(np.uint64) for side in SIDES)
        numbers[at : at + _CHUNK] |= (np.maximum(source, target) << np.uint64(48)) | (source << np.uint64(32))
    numbers.sort()
    for at in range(0, drawn.size, _CHUNK):
        numbers[at : at + _CHUNK] = drawn[numbers[at : at + _CHUNK] & np.uint64(0xFFFFFFFF)]
    return numbers.astype(np.uint32)


def borders_by_rows(count: int, batch_size: int, drop_remainder: bool) -> NDArray[np.int64]:
    """Where each batch of so many rows begins, and the end; a last batch that is not full may be left out."""
    borders = np.arange(0, count + 1, batch_size)
    return borders if drop_remainder or borders[-1] == count else np.append(borders, count)


def borders_by_tokens(store: PairStore, rows: Rows, batch_tokens: int) -> NDArray[np.int64]:
    """Where each batch of at most so many tokens begins, and the end.

    A batch's tokens are its rows times its longest sentence on either side, markers counted, as far as the rows' order lets one fill
    it. A pair that has more alone is a batch of its own.
    """
    lengths = np.empty(rows.size, np.uint32)
    for at in range(0, rows.size, _CHUNK):
        some = rows[at : at + _CHUNK]
        lengths[at : at + _CHUNK] = np.maximum(*(store.lengths(some, side) for side in SIDES)) + MARKED
    shortest = int(lengths.min(initial=batch_tokens))
    most = max(1, batch_tokens // max(1, shortest))
    borders, start = [0], 0
    while start < rows.size:
        longest = np.maximum.accumulate(lengths[start : start + most].astype(np.int64))
        fitting = np.searchsorted(longest * np.arange(1, longest.size + 1), batch_tokens, side="right")
        start += max(1, int(fitting))
        borders.append(start)
    return np.array(borders, np.int64)
