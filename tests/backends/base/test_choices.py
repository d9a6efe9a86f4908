"""Ways chosen by measuring: once, the fastest, and kept."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from framework.backends.base.choices import Choices, active, seconds_of, size_class, using


def ways(asked: list[str], **seconds: float) -> Any:
    def measure(name: str) -> float:
        asked.append(name)
        return seconds[name]

    return {name: (lambda name=name: measure(name)) for name in seconds}


def test_the_fastest_is_taken_and_measured_once() -> None:
    asked: list[str] = []
    told: list[Any] = []
    choices = Choices(told=told.append)
    for _ in range(3):
        assert choices.choose("a product", "slow", ways(asked, slow=2.0, fast=1.0)) == "fast"
    assert asked == ["slow", "fast"] * 2, "in turns"
    assert told == [{"a product": "fast"}] == [choices.known]


def test_a_rule_decides_where_nothing_is_measured() -> None:
    asked: list[str] = []
    choices = Choices(measuring=False)
    assert choices.choose("a product", "slow", ways(asked, slow=2.0, fast=1.0)) == "slow"
    assert not asked and not choices.known


@pytest.mark.parametrize("measuring", [True, False])
def test_what_is_known_holds_although_another_is_faster(measuring: bool) -> None:
    asked: list[str] = []
    choices = Choices({"a product": "slow", "another": "gone"}, measuring=measuring)
    assert choices.choose("a product", "fast", ways(asked, slow=2.0, fast=1.0)) == "slow"
    assert not asked
    assert choices.choose("another", "slow", ways(asked, slow=2.0, fast=1.0)) == ("fast" if measuring else "slow")


def test_threads_that_ask_at_once_measure_once() -> None:
    asked: list[str] = []
    choices, found = Choices(), []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        found.append(choices.choose("a product", "slow", ways(asked, slow=2.0, fast=1.0)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == ["fast"] * 4 and asked == ["slow", "fast"] * 2


def test_choices_are_in_use_for_a_block() -> None:
    before = active()
    with using(Choices()) as first, using(Choices()) as second:
        assert active() is second is not first
    assert active() is before
    assert before.choose("a product", "slow", ways([], slow=2.0, fast=1.0)) == "slow"


def test_seconds_are_the_least_of_several() -> None:
    calls: list[int] = []
    assert 0 <= seconds_of(lambda: calls.append(1)) < 0.1
    assert len(calls) > 2


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (6400, 8192)])
def test_sizes_of_a_class_share_a_power_of_two(size: int, expected: int) -> None:
    assert size_class(size) == expected


def test_measuring_one_thing_may_choose_another() -> None:
    choices = Choices()

    def layer() -> float:
        assert choices.choose("a product", "slow", ways([], slow=2.0, fast=1.0)) == "fast"
        return 1.0

    assert choices.choose("a layer", "only", {"only": layer}) == "only"


@pytest.mark.parametrize(("other", "expected"), [(0.97, "rule"), (0.9, "other"), (1.2, "rule")])
def test_the_rule_stays_unless_another_way_is_clearly_faster(other: float, expected: str) -> None:
    assert Choices().choose("a product", "rule", ways([], rule=1.0, other=other)) == expected


def test_a_moments_noise_decides_nothing() -> None:
    seconds = {"rule": [9.0, 1.0], "other": [2.0, 2.0]}
    assert Choices().choose("a product", "rule", {name: (lambda name=name: seconds[name].pop(0)) for name in seconds}) == "rule"
