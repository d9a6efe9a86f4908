"""Running mean: exact, whatever the order, the sizes and the interruptions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.metrics.mean import RunningMean

FLOATS = st.floats(-1e100, 1e100)


def mean_of(values: list[float], weights: list[float] | None = None) -> RunningMean:
    mean = RunningMean()
    for value, weight in zip(values, weights or [1.0] * len(values), strict=True):
        mean.add(value, weight)
    return mean


@given(st.lists(FLOATS, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_sum_is_the_exact_sum_rounded_once_in_any_order(values: list[float], random: object) -> None:
    exact = float(sum(map(Fraction, values))) / len(values)
    assert mean_of(values).mean == exact
    random.shuffle(values)  # type: ignore[attr-defined]
    assert mean_of(values).mean == exact


@given(st.lists(st.tuples(FLOATS, st.integers(0, 10**6)), min_size=1, max_size=20), st.integers(0, 20))
def test_going_on_from_a_state_gives_the_same_bits(pairs: list[tuple[float, int]], cut: int) -> None:
    whole = mean_of([value for value, _ in pairs], [float(weight) for _, weight in pairs])
    resumed = RunningMean.from_state(mean_of([v for v, _ in pairs[:cut]], [float(w) for _, w in pairs[:cut]]).state())
    for value, weight in pairs[cut:]:
        resumed.add(value, weight)
    assert np.array([resumed.mean]).tobytes() == np.array([whole.mean]).tobytes()
    assert resumed.weight == whole.weight


def test_where_plain_addition_fails() -> None:
    values = [1e100, 1.0, -1e100, 1.0]
    assert sum(values) / 4 == 0.25
    assert mean_of(values).mean == 0.5
    thirds = mean_of([0.1] * 10**5)
    assert thirds.mean == 0.1
    assert sum([0.1] * 10**5) / 10**5 != 0.1


def test_weights() -> None:
    mean = mean_of([2.0, 5.0], [3.0, 1.0])
    assert mean.mean == 2.75
    assert mean.weight == 4.0


def test_nothing_added_has_no_mean() -> None:
    assert math.isnan(RunningMean().mean)
    assert math.isnan(mean_of([3.0], [0.0]).mean)


def test_what_is_not_finite_stays_visible() -> None:
    assert mean_of([1.0, math.inf, 2.0]).mean == math.inf
    assert math.isnan(mean_of([1.0, math.inf, -math.inf]).mean)
    assert math.isnan(mean_of([1.0, math.nan, 2.0, 3.0]).mean)


def test_wrong_weights_are_refused() -> None:
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"weight is {wrong}; expected a finite number from 0 on"):
            RunningMean().add(1.0, wrong)
