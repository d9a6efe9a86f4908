"""A contestant in a new process: its memory at its peak, and the time of its first call."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.alone import alone
from benchmarks.conditions import as_in_a_run

CALLS = 2
"""Calls of a contestant: the second one meets what the first has left."""

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class FirstCalls:
    """What a contestant's first calls took.

    Attributes:
        made: MiB that its process had held at most when it was made.
        called: the same after it was called twice.
        seconds: of the first call.
        grown: MiB that the calls added at most to what the process held before them.
    """

    made: float
    called: float
    seconds: float
    grown: float


def first_call(make: Callable[..., Callable[[], object]], *arguments: Any) -> FirstCalls:
    """Makes a contestant in a new process and calls it twice.

    Args:
        make: makes the contestant; a function at the top of a module.
        arguments: of ``make``.
    """
    return FirstCalls(*alone(_run, make, arguments))


def _run(make: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> tuple[float, float, float, float]:
    with as_in_a_run():
        call = make(*arguments)
        made = _peak()
        before = _forget_peak()
        started = time.perf_counter()
        call()
        seconds = time.perf_counter() - started
        for _ in range(CALLS - 1):
            call()
        peak = _peak()
        return made, max(made, peak), seconds, peak - before


def _forget_peak() -> float:
    """MiB that the process holds, which its peak is counted from now on; the peak so far where Linux does not forget it.

    Source: proc(5), ``clear_refs``: 5 sets the peak to what is held.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    """MiB that this process has held at most.

    Where Linux tells it of the process' present memory, from there: what ``getrusage`` says begins with what the parent has held.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MEBIBYTE if sys.platform == "darwin" else peak / 1024
