"""The shuffle through a buffer: each window once, the order of ``tf.data``'s shuffle, the same after a resume."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from framework.data import windows as windows_module
from framework.data.windows import ShuffledWindows, buffered_order, permutation

SEEDS = st.integers(0, 2**32 - 1)


def windows(count: int, rows: int, drop: bool, seed: int | None, buffer: int | None) -> ShuffledWindows:
    """``count`` windows of two tokens, each token its own place, and a token that is left over."""
    return ShuffledWindows(np.arange(2 * count + 1, dtype=np.int32), 1, rows, drop, seed, buffer)


def order_of(batches: ShuffledWindows, epoch: int, start: int = 0) -> list[int]:
    """Numbers of the windows as they come."""
    return [int(token) // 2 for batch in batches.epoch(epoch, start) for token in batch.inputs["tokens"][:, 0]]


@given(st.integers(0, 80), st.integers(1, 7), st.booleans(), SEEDS, st.integers(0, 3), st.integers(1, 100))
def test_each_window_comes_once_up_to_the_remainder(count: int, rows: int, drop: bool, seed: int, epoch: int, buffer: int) -> None:
    order = order_of(windows(count, rows, drop, seed, buffer), epoch)
    assert len(order) == (count // rows * rows if drop else count)
    assert len(set(order)) == len(order)


@given(st.integers(1, 80), st.integers(1, 7), SEEDS, st.integers(0, 3), st.integers(1, 100), st.data())
def test_a_resumed_epoch_goes_on_in_the_same_order(count: int, rows: int, seed: int, epoch: int, buffer: int, data: st.DataObject) -> None:
    batches = windows(count, rows, False, seed, buffer)
    start = data.draw(st.integers(0, batches.steps))
    assert order_of(batches, epoch, start) == order_of(batches, epoch)[start * rows :]


def test_without_a_seed_windows_come_in_order() -> None:
    assert order_of(windows(20, 3, False, None, 5), 4) == list(range(20))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    orders = {tuple(order_of(windows(200, 4, True, seed, 20), epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert order_of(windows(200, 4, True, 1, 20), 2) == order_of(windows(200, 4, True, 1, 20), 2)


def test_the_order_stays_what_it_was_when_a_run_goes_on_with_another_numpy() -> None:
    assert order_of(windows(10, 10, True, 7, 4), 2) == [1, 4, 0, 5, 7, 3, 2, 9, 8, 6]  # as NumPy 2.4 draws it
    assert order_of(windows(10, 10, True, 7, None), 2) == [1, 5, 3, 4, 6, 9, 0, 8, 2, 7]  # a full permutation, as before


def reference_order(count: int, draws: list[int], buffer: int) -> list[int]:
    """The documented shuffle, told in the plainest words: fill, draw, fill the drawn place with what comes next or with the last."""
    coming, held, order = list(range(count)), list[int](), list[int]()
    while coming and len(held) < buffer:
        held.append(coming.pop(0))
    for draw in draws:
        order.append(held[draw])
        held[draw] = coming.pop(0) if coming else held[-1]
        if len(order) + len(held) > count:
            held.pop()
    return order


@given(st.integers(0, 60), st.integers(1, 70), SEEDS)
def test_a_buffer_is_filled_drawn_from_and_filled_again(count: int, buffer: int, seed: int) -> None:
    order = list(buffered_order(count, buffer, np.random.default_rng(seed)))
    sizes = [min(buffer, count - place) for place in range(count)]
    draws = np.random.default_rng(seed).integers(sizes).tolist() if count else []
    assert order == reference_order(count, draws, buffer)
    assert sorted(order) == list(range(count))
    assert all(window < place + buffer for place, window in enumerate(order)), "nothing is drawn before it is read"


def test_the_order_of_an_epoch_is_drawn_once_and_that_of_one_epoch_is_held() -> None:
    batches = windows(40, 4, True, 3, None)
    with mock.patch.object(windows_module, "permutation", wraps=permutation) as drawn:
        first = [order_of(batches, 0), order_of(batches, 0, 3), order_of(batches, 1), order_of(batches, 1)]
        assert drawn.call_count == 2
        assert order_of(batches, 0) == first[0] and drawn.call_count == 3
    assert first[1] == first[0][12:] and first[2] == first[3] != first[0]


@given(st.integers(0, 300), st.integers(1, 310), SEEDS, st.integers(1, 40))
def test_draws_are_the_same_however_many_are_made_together(count: int, buffer: int, seed: int, together: int) -> None:
    draws = np.random.default_rng(seed).integers(np.minimum(min(buffer, count), count - np.arange(count))).tolist() if count else []
    with mock.patch.object(windows_module, "_DRAWN", together):
        assert list(buffered_order(count, buffer, np.random.default_rng(seed))) == reference_order(count, draws, buffer)


@given(st.integers(0, 5000), SEEDS)
def test_a_permutation_of_small_numbers_is_that_of_numpy(count: int, seed: int) -> None:
    order = permutation(count, np.random.default_rng(seed))
    assert order.dtype == np.uint32
    np.testing.assert_array_equal(order, np.random.default_rng(seed).permutation(count))


def test_a_buffer_of_one_keeps_the_order_and_one_for_all_gives_every_order_its_chance() -> None:
    assert list(buffered_order(9, 1, np.random.default_rng(3))) == list(range(9))
    generator = np.random.default_rng(0)
    drawn = Counter(tuple(buffered_order(4, 4, generator)) for _ in range(24 * 200))
    assert len(drawn) == 24
    assert sum((seen - 200) ** 2 / 200 for seen in drawn.values()) < 49.7  # chi-squared with 23 degrees of freedom: p > 0.001
    whole = [list(buffered_order(50, buffer, np.random.default_rng(1))) for buffer in (50, 51, 10**30)]
    assert whole[0] == whole[1] == whole[2]
