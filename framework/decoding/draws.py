"""The random numbers of decoding: one for each row and step, each row's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512


class Draws:
    """Uniform numbers in [0, 1), the n-th of a row made from (seed, row, n) alone.

    So what a row generates does not depend on the other rows of its batch, nor on the backend.

    Args:
        seed: seed of the samples, 0 or more.
        rows: number of each row, which tells its random numbers from other rows'.
        starts: position at which each row takes its first number; all 0 when not given.
    """

    def __init__(self, seed: int, rows: Sequence[int], starts: Sequence[int] | None = None) -> None:
        self._generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(row,)))) for row in rows]
        self._starts = list(starts) if starts is not None else [0] * len(rows)
        self._first = self._last = 0
        self._block = np.zeros((0, len(rows)))

    def at(self, position: int) -> NDArray[np.float64]:
        """The numbers of all rows at ``position``, ``(rows,)``; zeros for rows that have not started.

        Positions are asked for in rising order.

        Raises:
            IndexError: a position before one that was asked for.
        """
        while position >= self._last:
            self._fill()
        if position < self._first:
            raise IndexError(f"random numbers of position {position} are gone; position {self._first} is the earliest")
        row: NDArray[np.float64] = self._block[position - self._first]
        return row

    def _fill(self) -> None:
        self._first, self._last = self._last, self._last + _BLOCK
        self._block = np.zeros((_BLOCK, len(self._generators)))
        for column, (generator, start) in enumerate(zip(self._generators, self._starts, strict=True)):
            before = min(max(start - self._first, 0), _BLOCK)
            self._block[before:, column] = generator.random(_BLOCK - before)
