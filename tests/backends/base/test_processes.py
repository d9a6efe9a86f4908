"""What processes tell each other, over threads that stand for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framework.backends.base.objective import Totals
from framework.backends.base.processes import Alone, Processes
from framework.backends.base.shared_events import NoEvents, SharedEvents
from framework.backends.base.state import gathered_rows, rows_of
from framework.backends.base.training import EpochResult, Position, StepResult
from framework.data.share import part_of


class _Meeting:
    """Where threads add up."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=20)
        self.given: dict[int, NDArray[np.float64]] = {}


class _Threads(Processes):
    def __init__(self, rank: int, size: int, meeting: _Meeting) -> None:
        super().__init__(rank, size)
        self.meeting = meeting

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        self.meeting.given[self.rank] = np.array(values)
        self.meeting.barrier.wait()
        found: NDArray[np.float64] = np.sum([self.meeting.given[rank] for rank in range(self.size)], axis=0)
        self.meeting.barrier.wait()
        return found

    def leave(self) -> None:
        pass


def on_all(size: int, work: Callable[[Processes], Any]) -> list[Any]:
    """What each of so many processes makes of it."""
    meeting = _Meeting(size)
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: work(_Threads(rank, size, meeting)), range(size)))


@pytest.mark.parametrize("text", ["", "a", "Grüße 😀\n" * 20_000])
def test_all_hear_the_text_of_process_0(text: str) -> None:
    assert on_all(3, lambda one: one.tell(text if one.rank == 0 else "another")) == [text] * 3


def test_plain_data_is_told_too() -> None:
    told = {"folder": "/a/b", "step": 3, "choices": {"x": "packed"}, "none": None}
    assert on_all(2, lambda one: one.tell_json(told if one.rank == 0 else None)) == [told] * 2
    assert Alone().tell_json(told) == told


@pytest.mark.parametrize(("rows", "size"), [(7, 3), (2, 4), (4, 2)])
def test_rows_come_back_in_order(rows: int, size: int) -> None:
    whole = np.arange(rows * 6, dtype=np.float32).reshape(rows, 2, 3) / 3
    state = {"states/gru/0": whole, "weights/gru/kernel": np.ones(4), "states/gru/state": whole * 2}

    def there_and_back(one: Processes) -> Any:
        own = rows_of(state, lambda count: part_of(count, one.rank, one.size))
        assert len(own["states/gru/0"]) == part_of(rows, one.rank, one.size).rows
        return gathered_rows(own, one)

    for found in on_all(size, there_and_back):
        for name, value in state.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype


def test_totals_are_added_where_one_has_none() -> None:
    parts = [Totals({"loss": 1.5, "correct": 2.0}, 3.0, 2), Totals(), Totals({"loss": 2.5, "correct": 1.0}, 4.0, 1)]
    assert on_all(3, lambda one: one.added(parts[one.rank], ("loss", "correct"))) == [Totals({"loss": 4.0, "correct": 3.0}, 7.0, 3)] * 3


class _Told(NoEvents):
    """Process 0's events, which ask to stop at the end of an epoch."""

    def __init__(self, shared: list[SharedEvents]) -> None:
        super().__init__(lambda: self.stopped)
        self.stopped = False
        self.shared, self.states = shared, []  # type: ignore[var-annotated]

    def on_step(self, result: StepResult) -> None:
        if result.position.step % 2 == 0:
            self.states.append(self.shared[0].whole_state()["states/gru/0"].tolist())

    def on_epoch_end(self, result: EpochResult) -> None:
        self.stopped = True


def test_process_0_finds_the_whole_state_where_a_checkpoint_is_due_and_all_stop_when_it_does() -> None:
    def train(one: Processes) -> Any:
        shared: list[SharedEvents] = []
        events = _Told(shared) if one.rank == 0 else NoEvents(lambda: False)
        shared.append(SharedEvents(events, one, lambda: {"states/gru/0": np.full((1, 2), one.rank, np.float32)}, 2))
        for step in (1, 2, 3):
            one.hear(0.0)
            shared[0].on_step(StepResult(Position(0, step, step), 1.0, 1.0, 2, 0.1))
            assert not shared[0].should_stop
        with pytest.raises(AssertionError):
            shared[0].whole_state()
        shared[0].on_epoch_end(EpochResult(Position(1, 0, 3), Totals(), None, 1.0))
        return shared[0].should_stop, getattr(events, "states", None)

    assert on_all(2, train) == [(True, [[[0.0, 0.0], [1.0, 1.0]]]), (True, None)]


def test_a_wish_that_was_told_with_a_step_stops_all_after_it() -> None:
    def train(one: Processes) -> bool:
        shared = SharedEvents(NoEvents(lambda: one.rank == 1), one, dict, None)
        wishes = one.add_up(np.array([float(one.wish())]))[0]
        one.hear(wishes)
        shared.on_step(StepResult(Position(0, 1, 1), None, None, 2, 0.1))
        assert not shared.should_stop  # not read yet
        shared.on_step(StepResult(Position(0, 2, 2), 1.0, 1.0, 2, 0.1))
        return shared.should_stop

    assert on_all(2, train) == [True, True]
