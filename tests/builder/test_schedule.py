"""Learning rates by step: written-out values, the ends of each decay, and Keras' own schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.builder.schedule import learning_rate
from framework.errors import InputError
from framework.spec.optimizer import AdamSpec, ScheduleSpec

KINDS = ["constant", "exponential", "cosine", "linear", "inverse_sqrt"]


def rate(kind: str, total: int = 110, peak: float = 0.2, **settings: Any) -> Callable[[int], float]:
    return learning_rate(AdamSpec(learning_rate=peak, schedule=ScheduleSpec(kind=kind, **settings)), total)  # type: ignore[arg-type]


def test_constant_is_the_default() -> None:
    default = learning_rate(AdamSpec(learning_rate=0.003), 10)
    assert [default(step) for step in (0, 5, 9, 1000)] == [0.003] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_rises_in_a_line_to_the_peak(kind: str) -> None:
    warm = rate(kind, warmup_steps=10)
    assert [warm(step) for step in (0, 1, 5, 9)] == pytest.approx([0.0, 0.02, 0.1, 0.18], rel=1e-15)
    assert warm(10) == 0.2


def test_written_out_values() -> None:
    cosine = rate("cosine", warmup_steps=10, final_fraction=0.1)
    assert [cosine(step) for step in (35, 60, 110, 500)] == pytest.approx(
        [0.2 * (0.9 * (1 + math.sqrt(0.5)) / 2 + 0.1), 0.11, 0.02, 0.02], rel=1e-14
    )
    linear = rate("linear", warmup_steps=10, final_fraction=0.5)
    assert [linear(step) for step in (35, 60, 110, 500)] == pytest.approx([0.175, 0.15, 0.1, 0.1], rel=1e-14)
    exponential = rate("exponential", warmup_steps=10, decay_steps=50, decay_rate=0.25)
    assert [exponential(step) for step in (35, 60, 110, 210)] == pytest.approx([0.1, 0.05, 0.0125, 0.2 / 256], rel=1e-14)
    root = rate("inverse_sqrt", warmup_steps=10)
    assert [root(step) for step in (10, 40, 90)] == pytest.approx([0.2, 0.1, 0.2 / 3], rel=1e-14)
    assert [rate("inverse_sqrt")(step) for step in (0, 3, 99)] == pytest.approx([0.2, 0.1, 0.02], rel=1e-14)


def test_decay_takes_the_rest_of_the_training_or_what_is_given() -> None:
    assert rate("linear", total=50, warmup_steps=10)(30) == pytest.approx(0.1)
    assert rate("linear", total=50, warmup_steps=10, decay_steps=20)(20) == pytest.approx(0.1)
    assert rate("linear", total=50, warmup_steps=10, decay_steps=20)(49) == 0
    assert rate("exponential", total=110, warmup_steps=10, decay_rate=0.5)(110) == pytest.approx(0.1)
    held = rate("inverse_sqrt", warmup_steps=10, decay_steps=30)
    assert held(40) == held(1000) == pytest.approx(0.1)


@given(st.sampled_from(KINDS), st.integers(0, 30), st.integers(1, 60), st.one_of(st.none(), st.integers(1, 50)), st.floats(0, 1))
def test_rises_to_the_peak_then_never_again(kind: str, warmup: int, total: int, decay_steps: int | None, final: float) -> None:
    found = rate(kind, total, 1.0, warmup_steps=warmup, decay_steps=decay_steps, final_fraction=final)
    rates = [found(step) for step in range(total + 40)]
    up, down = rates[: warmup + 1], rates[warmup:]
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert max(rates) <= 1.0
    assert min(rates) >= 0.0
    if kind in ("cosine", "linear") and (decay_steps is not None or total > warmup):
        assert found(10_000) == pytest.approx(final)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_may_end_within_the_warm_up(kind: str) -> None:
    short = rate(kind, total=4, warmup_steps=100)
    assert short(3) == pytest.approx(0.006)
    assert 0 <= short(101) <= 0.2


def test_a_training_without_steps_is_refused() -> None:
    with pytest.raises(InputError, match="the training has 0 steps; expected at least 1"):
        rate("constant", total=0)


STEPS = [0, 1, 7, 10, 11, 35, 60, 99, 110, 250]


@pytest.mark.tensorflow
def test_keras_schedules_agree() -> None:
    from keras.optimizers import schedules

    pairs = [
        (rate("cosine", warmup_steps=10, final_fraction=0.1), schedules.CosineDecay(0.0, 100, 0.1, warmup_target=0.2, warmup_steps=10)),
        (rate("cosine", final_fraction=0.3, decay_steps=60), schedules.CosineDecay(0.2, 60, 0.3)),
        (rate("linear", final_fraction=0.25), schedules.PolynomialDecay(0.2, 110, 0.05)),
        (rate("exponential", decay_steps=40, decay_rate=0.9), schedules.ExponentialDecay(0.2, 40, 0.9)),
    ]
    for ours, theirs in pairs:
        assert [ours(step) for step in STEPS] == pytest.approx([float(theirs(step)) for step in STEPS], rel=2e-6, abs=1e-8)
