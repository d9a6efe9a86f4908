"""Raw sentences with all their translations, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from framework.data.parallel.split import PARTS
from framework.data.parallel.store import PairStore
from framework.data.prepared import Example


@dataclass(frozen=True, eq=False)
class PairExamples(Sequence[Example]):
    """The different sentences of a part, in order; each with every translation that its text has.

    Two sentences that are the same once they are cleaned are one. The translations of a sentence that was drawn for a part are those
    of all parts that were drawn with it: they are right, wherever they lie.

    Attributes:
        store: holds the pairs.
        part: name of the part.
    """

    store: PairStore
    part: str

    def __len__(self) -> int:
        return int(self._first.size)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._example(int(row)) for row in self._first[index]]
        return self._example(int(self._first[index]))

    def __iter__(self) -> Iterator[Example]:
        return (self._example(int(row)) for row in self._first)

    def _example(self, row: int) -> Example:
        key = self.store.keys("source")[row]
        begin, end = (int(np.searchsorted(self._sorted_keys, key, side)) for side in ("left", "right"))
        references = dict.fromkeys(self.store.texts(int(one))[1] for one in self._sorted_rows[begin:end])
        return Example({"source": self.store.texts(row)[0]}, tuple(references))

    @cached_property
    def _rows(self) -> NDArray[np.uint32]:
        return self.store.rows(self.part)

    @cached_property
    def _first(self) -> NDArray[np.uint32]:
        """The first pair of each different sentence of the part."""
        _, places = np.unique(self.store.keys("source")[self._rows], return_index=True)
        return self._rows[np.sort(places)]

    @cached_property
    def _sorted_rows(self) -> NDArray[np.uint32]:
        """Pairs whose translations count, by key; those of a key in their own order."""
        drawn = int(self.store.about["drawn"])
        if self._rows.size and self._rows[0] < drawn:
            parts = [rows[rows < drawn] for rows in map(self.store.rows, PARTS)]
            candidates = np.sort(np.concatenate(parts))
        else:
            candidates = self._rows
        return candidates[np.argsort(self.store.keys("source")[candidates], kind="stable")]

    @cached_property
    def _sorted_keys(self) -> NDArray[np.uint64]:
        return self.store.keys("source")[self._sorted_rows]
