"""Batches of pairs: shuffled, or of like length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batch
from framework.data.parallel.store import SIDES, PairStore
from framework.data.parallel.tokens import END, PAD, START
from framework.data.windows import steps_from

Rows = NDArray[np.uint32]

MARKED = 2
"""Markers of a sentence."""


def pair_batch(store: PairStore, rows: Rows, longest: Mapping[str, int] | None = None) -> Batch:
    """The batch of these pairs.

    Args:
        store: holds them.
        rows: their numbers.
        longest: length of each side, markers counted; None: that of its longest sentence.

    Returns:
        Inputs ``source: (batch, source) int32`` between markers, and ``target: (batch, target - 1) int32`` with the start, without
        the last place; targets ``(batch, target - 1) int32``, the same moved on by one; weights 1 at tokens and at the end marker,
        0 at padding.
    """
    source, target = (_padded(store, rows, side, None if longest is None else longest[side]) for side in SIDES)
    targets = np.ascontiguousarray(target[:, 1:])
    return Batch({"source": source, "target": np.ascontiguousarray(target[:, :-1])}, targets, (targets != PAD).astype(np.float32))


def _padded(store: PairStore, rows: Rows, side: str, length: int | None) -> NDArray[np.int32]:
    starts = store.starts(side)[rows]
    lengths = store.lengths(rows, side)
    most = int(lengths.max(initial=0))
    padded = np.full((rows.size, most + MARKED if length is None else length), PAD, np.int32)
    places = np.arange(most)
    there = places < lengths[:, None]
    padded[:, 0] = START
    padded[:, 1 : most + 1][there] = store.tokens(side)[(starts[:, None] + places)[there]]
    padded[np.arange(rows.size), lengths + 1] = END
    return padded


@dataclass(frozen=True, eq=False)
class PairBatches:
    """Batches of pairs, in a new random order each epoch.

    An epoch's order is one permutation drawn from ``numpy.random.default_rng((seed, epoch))``: of the pairs, or, where batches have
    fixed members, of the batches.

    Attributes:
        store: holds the pairs.
        rows: the pairs' numbers, in order; a batch's members lie side by side where ``borders`` are given.
        batch_size: rows of a full batch; of the largest one where ``borders`` are given.
        drop_remainder: leave out a last batch that is not full.
        seed: of the orders; None: the pairs' own order, in every epoch.
        borders: where in ``rows`` each batch begins, and the end.
        longest: length of each side of every batch, markers counted; None: as the batch's longest sentence.
    """

    store: PairStore
    rows: Rows
    batch_size: int
    drop_remainder: bool
    seed: int | None
    borders: NDArray[np.int64] | None = None
    longest: Mapping[str, int] | None = None

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        if self.borders is not None:
            return len(self.borders) - 1
        return len(self.rows) // self.batch_size if self.drop_remainder else -(-len(self.rows) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch from position ``start`` on; see :func:`pair_batch`."""
        order = None if self.seed is None else self._order(epoch, self.seed)
        return (pair_batch(self.store, self._members(step, order), self.longest) for step in steps_from(start, self.steps))

    def _order(self, epoch: int, seed: int) -> Rows:
        count = len(self.rows) if self.borders is None else self.steps
        order = np.arange(count, dtype=np.uint32)
        np.random.default_rng((seed, epoch)).shuffle(order)
        return order

    def _members(self, step: int, order: Rows | None) -> Rows:
        if self.borders is not None:
            place = step if order is None else order[step]
            return self.rows[self.borders[place] : self.borders[place + 1]]
        chosen = slice(step * self.batch_size, (step + 1) * self.batch_size)
        return self.rows[chosen if order is None else order[chosen]]
