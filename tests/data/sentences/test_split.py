from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from framework.data.sentences.split import draw_parts, joined

KEYS = np.random.default_rng(0).integers(2**64, size=10_000, dtype=np.uint64)


def test_as_many_pairs_are_held_out_as_the_fractions_say() -> None:
    assert np.bincount(draw_parts(KEYS, 0, 0.2, 0.05)).tolist() == [7_500, 2_000, 500]
    assert np.bincount(draw_parts(KEYS, 0, 0.0, 0.25)).tolist() == [7_500, 0, 2_500]
    assert np.bincount(draw_parts(KEYS, 0, 0.2, 0.0)).tolist() == [8_000, 2_000]
    assert not draw_parts(KEYS, 0, 0.0, 0.0).any()


def test_another_seed_draws_other_parts() -> None:
    one, other = (draw_parts(KEYS, seed, 0.5, 0.0) for seed in (0, 1))
    assert 0.45 < np.mean(one != other) < 0.55
    assert np.array_equal(one, draw_parts(KEYS, 0, 0.5, 0.0))


def test_a_pairs_part_depends_on_its_key_alone_not_on_its_place() -> None:
    order = np.random.default_rng(1).permutation(KEYS.size)
    assert np.array_equal(draw_parts(KEYS, 3, 0.2, 0.1)[order], draw_parts(KEYS[order], 3, 0.2, 0.1))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.floats(0, 0.45), st.floats(0, 0.45), st.integers(0, 2**32 - 1))
def test_equal_keys_are_never_parted(numbers: list[int], validation: float, test: float, seed: int) -> None:
    keys = KEYS[:31][numbers]
    parts = draw_parts(keys, seed, validation, test)
    assert all(np.unique(parts[keys == key]).size == 1 for key in np.unique(keys))
    largest = int(np.unique(keys, return_counts=True)[1].max())
    assert 0 <= np.count_nonzero(parts == 2) - round(test * keys.size) < largest
    assert 0 <= np.count_nonzero(parts) - round((test + validation) * keys.size) < largest


def test_which_sentence_is_read_counts_where_two_keys_are_joined() -> None:
    one, other = KEYS[:5_000], KEYS[5_000:]
    assert np.unique(np.concatenate([joined(one, other), joined(other, one), one, other])).size == 20_000
