"""A process's rows of a batch: together all of them, once each, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from framework.data.batches import Batch
from framework.data.share import part_of, share


@dataclass
class _Batches:
    batch: Batch
    steps: int = 1
    batch_size: int = 8

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        yield self.batch


@given(rows=st.integers(1, 40), size=st.integers(1, 9))
def test_parts_are_all_rows_in_order_and_about_alike(rows: int, size: int) -> None:
    parts = [part_of(rows, rank, size) for rank in range(size)]
    assert [row for part in parts for row in range(part.first, part.first + part.rows)] == list(range(rows))
    assert max(part.rows for part in parts) - min(part.rows for part in parts) <= 1
    assert {part.whole for part in parts} == {rows}


@given(rows=st.integers(1, 20), size=st.integers(2, 5), weighted=st.booleans())
def test_shares_put_together_are_the_batch(rows: int, size: int, weighted: bool) -> None:
    tokens = np.arange(rows * 3, dtype=np.int32).reshape(rows, 3)
    weights = np.linspace(0.1, 1.0, rows * 3, dtype=np.float32).reshape(rows, 3) if weighted else None
    whole = Batch({"tokens": tokens}, tokens + 1, weights)
    shares = [next(share(_Batches(whole), rank, size).epoch(0)) for rank in range(size)]
    own = [one for one in shares if one.part is not None and one.part.rows]
    np.testing.assert_array_equal(np.concatenate([one.inputs["tokens"] for one in own]), tokens)
    np.testing.assert_array_equal(np.concatenate([one.targets for one in own]), whole.targets)
    assert all((one.weights is None) == (not weighted) for one in own)
    for filler in (one for one in shares if one.part is not None and not one.part.rows):
        assert len(filler.targets) == 1
        assert filler.count == 0.0


def test_a_process_without_a_row_is_given_none_where_it_takes_no_part() -> None:
    batch = Batch({"tokens": np.zeros((1, 3), np.int32)}, np.zeros((1, 3), np.int32))
    counts = [len(list(share(_Batches(batch), rank, 3, fill=False).epoch(0))) for rank in range(3)]
    assert sorted(counts) == [0, 0, 1]


def test_one_process_has_the_batches_themselves() -> None:
    batches = _Batches(Batch({}, np.zeros((2, 3), np.int32)))
    assert share(batches, 0, 1) is batches
