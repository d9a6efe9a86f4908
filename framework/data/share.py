"""One process's rows of every batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from framework.data.batches import Batch, Batches, Part


def share(batches: Batches, rank: int, size: int, fill: bool = True) -> Batches:
    """The rows of one process, of all batches; the batches themselves where there is one process.

    Args:
        batches: the whole ones, the same on every process.
        rank: number of the process, from 0.
        size: processes.
        fill: whether a process that has no row of a batch gets one that counts nothing, since all take every step together; else it is
            given no such batch.
    """
    return batches if size == 1 else _Share(batches, rank, size, fill)


def part_of(rows: int, rank: int, size: int) -> Part:
    """Which of the rows of a batch are those of a process: as many as the others', in order, and one more or less where they must.

    Args:
        rows: of the batch.
        rank: number of the process, from 0.
        size: processes.
    """
    first, end = rank * rows // size, (rank + 1) * rows // size
    return Part(first, end - first, rows)


@dataclass(frozen=True, eq=False)
class _Share:
    batches: Batches
    rank: int
    size: int
    fill: bool

    @property
    def steps(self) -> int:
        return self.batches.steps

    @property
    def batch_size(self) -> int:
        return self.batches.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for batch in self.batches.epoch(epoch, start):
            part = part_of(batch.rows, self.rank, self.size)
            if part.rows or self.fill:
                yield _rows_of(batch, part)


def _rows_of(batch: Batch, part: Part) -> Batch:
    """A part of a batch; one row of weight zero where it has none."""
    rows = slice(part.first, part.first + part.rows) if part.rows else slice(0, 1)
    inputs = {name: value[rows] for name, value in batch.inputs.items()}
    targets = batch.targets[rows]
    weights = None if batch.weights is None else batch.weights[rows]
    if not part.rows:
        weights = np.zeros(targets.shape, np.float32)
    return Batch(inputs, targets, weights, part)
