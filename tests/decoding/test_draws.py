"""Random numbers of decoding: each row's own, in order, the same however rows are put together."""

from __future__ import annotations

import numpy as np
import pytest

from framework.decoding.draws import Draws


def stream(seed: int, row: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(row,)))).random(count)


def test_each_row_has_its_own_stream_over_all_blocks() -> None:
    draws = Draws(7, [0, 1, 5])
    given = np.stack([draws.at(position) for position in range(1300)])
    for column, row in enumerate([0, 1, 5]):
        np.testing.assert_array_equal(given[:, column], stream(7, row, 1300))
    assert (given[:, 0] != given[:, 1]).all()
    assert (given >= 0).all()
    assert (given < 1).all()


def test_a_row_starts_its_stream_at_its_own_position() -> None:
    starts = [3, 700, 512]
    draws = Draws(7, [0, 1, 2], starts)
    given = np.stack([draws.at(position).copy() for position in range(1500)])
    for row, start in enumerate(starts):
        np.testing.assert_array_equal(given[start:, row], stream(7, row, 1500 - start))
        assert (given[:start, row] == 0).all()


def test_positions_may_be_passed_over_but_not_gone_back_to() -> None:
    draws = Draws(1, [0])
    assert draws.at(2000)[0] == stream(1, 0, 2001)[-1]
    with pytest.raises(IndexError, match="position 3 are gone"):
        draws.at(3)


def test_seeds_differ() -> None:
    assert (Draws(1, range(4)).at(0) != Draws(2, range(4)).at(0)).all()
