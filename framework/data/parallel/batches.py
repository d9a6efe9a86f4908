"""A batch of pairs."""

from __future__ import annotations

from collections.abc import Mapping

from framework.data.batches import Batch
from framework.data.parallel.store import SIDES, PairStore
from framework.data.sentences.batches import Rows, padded, taught


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
    source, target = (padded(store.tokens(side), store.starts(side), rows, None if longest is None else longest[side]) for side in SIDES)
    given, targets, weights = taught(target)
    return Batch({"source": source, "target": given}, targets, weights)
