"""Batches of sentences: padded, shuffled, or of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batch
from framework.data.sentences.tokens import END, PAD, START
from framework.data.windows import steps_from

Rows = NDArray[np.uint32]

MARKED = 2
"""Markers of a sentence."""


def padded(tokens: NDArray[Any], starts: NDArray[np.int64], rows: Rows, length: int | None) -> NDArray[np.int32]:
    """Sentences between their markers, with padding behind the end of shorter ones.

    Args:
        tokens: of all sentences, one after the other, without markers.
        starts: ``(sentences + 1,)``, where each begins.
        rows: numbers of the sentences.
        length: of every row, markers counted; None: that of the longest sentence.

    Returns:
        ``(rows, length) int32``.
    """
    begins, numbers = starts[rows], rows.astype(np.int64)
    lengths = (starts[numbers + 1] - begins).astype(np.uint32)
    most = int(lengths.max(initial=0))
    found = np.full((rows.size, most + MARKED if length is None else length), PAD, np.int32)
    places = np.arange(most)
    there = places < lengths[:, None]
    found[:, 0] = START
    found[:, 1 : most + 1][there] = tokens[(begins[:, None] + places)[there]]
    found[np.arange(rows.size), lengths + 1] = END
    return found


def taught(target: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """What a decoder is given and what it is to say.

    Args:
        target: ``(batch, time) int32``, see :func:`padded`.

    Returns:
        The input ``(batch, time - 1) int32`` with the start, without the last place; the targets, the same moved on by one; and the
        weights, 1 at tokens and at the end marker, 0 at padding.
    """
    targets = np.ascontiguousarray(target[:, 1:])
    return np.ascontiguousarray(target[:, :-1]), targets, (targets != PAD).astype(np.float32)


@dataclass(frozen=True, eq=False)
class RowBatches:
    """Batches of rows of a store, in a new random order each epoch.

    An epoch's order is one permutation drawn from ``numpy.random.default_rng((seed, epoch))``: of the rows, or, where batches have
    fixed members, of the batches.

    Attributes:
        batch_of: makes the batch of some rows.
        rows: their numbers, in order; a batch's members lie side by side where ``borders`` are given.
        batch_size: rows of a full batch; of the largest one where ``borders`` are given.
        drop_remainder: leave out a last batch that is not full.
        seed: of the orders; None: their own order, in every epoch.
        borders: where in ``rows`` each batch begins, and the end.
    """

    batch_of: Callable[[Rows], Batch]
    rows: Rows
    batch_size: int
    drop_remainder: bool
    seed: int | None
    borders: NDArray[np.int64] | None = None

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        if self.borders is not None:
            return len(self.borders) - 1
        return len(self.rows) // self.batch_size if self.drop_remainder else -(-len(self.rows) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch from position ``start`` on."""
        order = None if self.seed is None else self._order(epoch, self.seed)
        return (self.batch_of(self._members(step, order)) for step in steps_from(start, self.steps))

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
