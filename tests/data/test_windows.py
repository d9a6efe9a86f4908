from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from framework.data.batches import Batch, Batches
from framework.data.limit import limit
from framework.data.windows import ContiguousWindows, ShuffledWindows
from framework.errors import DataError

SIZES = st.integers(0, 300)
LENGTHS = st.integers(1, 12)
ROWS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)


def stream_of(size: int) -> NDArray[np.int32]:
    """Every token is its own place, so that each can be followed."""
    stream = np.arange(size, dtype=np.int32)
    stream.flags.writeable = False
    return stream


def rows_of(batches: list[Batch]) -> list[list[int]]:
    return [
        [*row, int(target[-1])] for batch in batches for row, target in zip(batch.inputs["tokens"].tolist(), batch.targets, strict=True)
    ]


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a.inputs["tokens"], b.inputs["tokens"]) and np.array_equal(a.targets, b.targets)
        for a, b in zip(left, right, strict=True)
    )


def check_form(batches: Batches, found: list[Batch], length: int) -> None:
    assert len(found) == batches.steps
    for batch in found:
        assert list(batch.inputs) == ["tokens"] and batch.weights is None
        for array in (batch.inputs["tokens"], batch.targets):
            assert array.dtype == np.int32 and array.flags.c_contiguous and array.flags.writeable
            assert array.shape[1] == length
        assert batch.inputs["tokens"].shape == batch.targets.shape
        assert batch.count == batch.targets.size
        assert np.array_equal(batch.inputs["tokens"][:, 1:], batch.targets[:, :-1])


@given(SIZES, LENGTHS, ROWS, SEEDS, st.integers(0, 3), st.booleans())
def test_shuffled_windows_show_every_token_once_up_to_the_remainder(
    size: int, length: int, rows: int, seed: int, epoch: int, drop: bool
) -> None:
    batches = ShuffledWindows(stream_of(size), length, rows, drop, seed)
    found = list(batches.epoch(epoch))
    check_form(batches, found, length)
    windows = rows_of(found)
    whole = size // (length + 1)
    assert len(windows) == (whole // rows * rows if drop else whole)
    assert all(window == list(range(window[0], window[0] + length + 1)) and window[0] % (length + 1) == 0 for window in windows)
    assert len({window[0] for window in windows}) == len(windows)
    assert all(len(batch.targets) == rows for batch in (found if drop else found[:-1]))


@given(SIZES, LENGTHS, ROWS, st.booleans(), st.sampled_from([None, 0, 1234567]))
def test_windows_without_a_seed_come_in_order(size: int, length: int, rows: int, drop: bool, seed: int | None) -> None:
    starts = [window[0] for window in rows_of(list(ShuffledWindows(stream_of(size), length, rows, drop, None).epoch(5)))]
    assert starts == [i * (length + 1) for i in range(len(starts))]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [window[0] for window in rows_of(list(ShuffledWindows(stream_of(600), 2, 4, True, seed).epoch(epoch)))]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_the_order_stays_what_it_was_when_a_run_goes_on_with_another_numpy() -> None:
    batches = ShuffledWindows(stream_of(20), 1, 10, True, 7)
    starts = [window[0] // 2 for window in rows_of(list(batches.epoch(2)))]
    assert starts == [1, 5, 3, 4, 6, 9, 0, 8, 2, 7]  # default_rng((7, 2)).permutation(10), as NumPy 2.4 draws it


@given(SIZES, LENGTHS, ROWS)
def test_contiguous_rows_go_on_and_no_target_is_lost(size: int, length: int, rows: int) -> None:
    batches = ContiguousWindows(stream_of(size), length, rows)
    found = list(batches.epoch(0))
    check_form(batches, found, length)
    assert batches.steps == max(0, size - 1) // (rows * length)
    assert all(len(batch.targets) == rows for batch in found)
    for before, after in pairwise(found):
        # What a row foretold last is what it reads next.
        assert np.array_equal(before.targets[:, -1], after.inputs["tokens"][:, 0])
    seen = sorted(int(token) for batch in found for token in batch.targets.ravel())
    assert seen == list(range(1, batches.steps * rows * length + 1))
    for batch in found:
        assert np.array_equal(batch.targets, batch.inputs["tokens"] + 1)
    assert same(found, list(batches.epoch(3)))


@st.composite
def any_batches(draw: Any) -> Batches:
    stream, length, rows = stream_of(draw(SIZES)), draw(LENGTHS), draw(ROWS)
    batches: Batches = (
        ContiguousWindows(stream, length, rows)
        if draw(st.booleans())
        else ShuffledWindows(stream, length, rows, draw(st.booleans()), draw(st.none() | SEEDS))
    )
    return limit(batches, draw(st.none() | st.integers(1, 20)))


@given(any_batches(), st.integers(0, 3), st.data())
def test_starting_in_the_middle_gives_the_rest_of_the_epoch(batches: Batches, epoch: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, batches.steps))
    assert same(list(batches.epoch(epoch, start)), list(batches.epoch(epoch))[start:])


@given(any_batches(), st.integers(0, 3))
def test_a_place_outside_the_epoch_is_refused_at_once(batches: Batches, epoch: int) -> None:
    for start in (-1, batches.steps + 1):
        with pytest.raises(DataError, match=f"an epoch of {batches.steps} batches has no position {start}; expected 0 to {batches.steps}"):
            batches.epoch(epoch, start)


@given(any_batches(), st.integers(1, 20))
def test_a_limit_keeps_the_first_batches(batches: Batches, most: int) -> None:
    limited = limit(batches, most)
    assert limited.steps == min(most, batches.steps)
    assert limited.batch_size == batches.batch_size
    assert same(list(limited.epoch(1)), list(batches.epoch(1))[:most])
    assert limit(batches, None) is batches


def test_windows_are_views_and_batches_are_not() -> None:
    stream = np.arange(100, dtype=np.uint8)
    for batches in (ShuffledWindows(stream, 4, 5, True, 0), ContiguousWindows(stream, 4, 5)):
        batch = next(iter(batches.epoch(0)))
        batch.inputs["tokens"][:] = 0
        batch.targets[:] = 0
        assert stream.tolist() == list(range(100))
