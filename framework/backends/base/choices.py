"""Ways to compute the same, chosen by measuring: which of several matrix products, say, is the fastest at a shape on this machine.

Ways differ in their rounding. So what is chosen stays chosen: within a process; in a run, which keeps it in a file and goes on with it; and
on a machine, whose runs share what one of them has measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

TURNS = 2
"""How often each way measures itself; its least time counts."""

CLEARLY = 0.95
"""Share of the time of the rule's way that another one needs at most to be taken in its place."""

ROUNDS = 3
"""Calls of which the fastest counts, after one that warms up."""


class Choices:
    """What is chosen, by key. Several threads may ask at the same time.

    Args:
        known: what was chosen before, by key; it holds, whether it is the fastest here or not.
        measuring: whether what is not known is measured; a rule decides where it is not.
        told: called with everything that is known, whenever something new is.
    """

    def __init__(
        self, known: Mapping[str, str] | None = None, *, measuring: bool = True, told: Callable[[Mapping[str, str]], None] | None = None
    ) -> None:
        self._known = dict(known or {})
        self._measuring, self._told = measuring, told
        # Of a kind that the same thread may take again: measuring a layer chooses its products.
        self._lock = threading.RLock()

    @property
    def known(self) -> dict[str, str]:
        """Everything that was chosen, by key."""
        return dict(self._known)

    def choose(self, key: str, rule: str, ways: Mapping[str, Callable[[], float]]) -> str:
        """The name of a way.

        Args:
            key: what is computed: kind, shape, data type.
            rule: the way that is taken unmeasured.
            ways: by name, each measures itself and gives its seconds. They change nothing.
        """
        found = self._known.get(key)
        if found is not None and found in ways:
            return found
        if not self._measuring:
            return rule
        with self._lock:
            found = self._known.get(key)
            if found is not None and found in ways:  # another thread was first
                return found
            self._known[key] = found = _fastest(rule, ways)
            if self._told is not None:
                self._told(self.known)
        return found


def _fastest(rule: str, ways: Mapping[str, Callable[[], float]]) -> str:
    """The way of the rule, unless another is clearly faster: measured in turns, so that a moment's noise decides nothing."""
    turns = [{name: measure() for name, measure in ways.items()} for _ in range(TURNS)]
    seconds = {name: min(turn[name] for turn in turns) for name in ways}
    best = min(seconds, key=lambda name: seconds[name])
    return best if seconds[best] < CLEARLY * seconds[rule] else rule


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of a call at its fastest, once it is warm."""
    call()
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - started)
    return least


_RULES = Choices(measuring=False)
_active: list[Choices] = [_RULES]


def active() -> Choices:
    """The choices in use; outside of :func:`using`, the rules."""
    return _active[-1]


@contextmanager
def using(choices: Choices) -> Iterator[Choices]:
    """Takes ways by ``choices`` in this process, in all its threads, until the block ends."""
    _active.append(choices)
    try:
        yield choices
    finally:
        _active.remove(choices)


def size_class(size: int) -> int:
    """The power of two from ``size`` on: sizes of one class are chosen for together, so that batches of many lengths ask few times."""
    return 1 << max(0, size - 1).bit_length()
