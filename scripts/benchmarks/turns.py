"""Contestants measured in turns, so that a machine whose speed drifts is unfair to none of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int, shortest: float = 0.05) -> dict[str, float]:
    """Median seconds of one call, by contestant.

    Args:
        contestants: what to time, by name; each is called twice before anything is timed.
        rounds: turns.
        shortest: seconds that one turn of a contestant lasts at least; quick calls are repeated for it.
    """
    repeats = {}
    for name, call in contestants.items():
        call()
        started = time.perf_counter()
        call()
        repeats[name] = max(1, round(shortest / max(time.perf_counter() - started, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in contestants.items():
                started = time.perf_counter()
                for _ in range(repeats[name]):
                    call()
                times[name].append((time.perf_counter() - started) / repeats[name])
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}
