"""Raw sentences with all their translations, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from framework.data.parallel.store import PairStore
from framework.data.prepared import Example
from framework.data.sentences.examples import NumberedExamples
from framework.data.sentences.split import Keys

_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class PairExamples(NumberedExamples):
    """The different sentences of a part, in order; each with every translation that its text has.

    Two sentences that are the same once they are cleaned are one. The translations of a sentence that was drawn for a part are those
    of all parts that were drawn with it: they are right, wherever they lie.

    Attributes:
        store: holds the pairs.
        part: name of the part.
    """

    store: PairStore
    part: str

    def example(self, number: int) -> Example:
        """The sentence of that pair with all its translations."""
        key = self.store.keys("source")[number]
        begin, end = (int(np.searchsorted(self._sorted_keys, key, side)) for side in ("left", "right"))
        references = dict.fromkeys(self.store.texts(int(one))[1] for one in self._sorted_rows[begin:end])
        return Example({"source": self.store.texts(number)[0]}, tuple(references))

    @cached_property
    def _rows(self) -> NDArray[np.uint32]:
        return self.store.rows(self.part)

    @cached_property
    def numbers(self) -> NDArray[np.uint32]:
        """The first pair of each different sentence of the part."""
        _, places = np.unique(self.store.keys("source")[self._rows], return_index=True)
        return self._rows[np.sort(places)]

    @cached_property
    def _sorted_rows(self) -> NDArray[np.int64]:
        """Pairs whose translations count, by key; those of a key in their own order."""
        keys, drawn = self.store.keys("source"), int(self.store.about["drawn"])
        if self._rows[0] >= drawn:  # a part with a text of its own
            candidates = self._rows.astype(np.int64)
        else:
            candidates = np.concatenate([self._known(keys[at : at + _CHUNK]) + at for at in range(0, drawn, _CHUNK)])
            candidates = candidates[candidates < drawn]
        return candidates[np.argsort(keys[candidates], kind="stable")]

    def _known(self, keys: Keys) -> NDArray[np.int64]:
        """Which of these are keys of the part's sentences."""
        known = self._part_keys
        return np.flatnonzero(known[np.minimum(np.searchsorted(known, keys), known.size - 1)] == keys)

    @cached_property
    def _part_keys(self) -> Keys:
        return np.unique(self.store.keys("source")[self._rows])

    @cached_property
    def _sorted_keys(self) -> Keys:
        return self.store.keys("source")[self._sorted_rows]
