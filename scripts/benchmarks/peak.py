"""Memory of a contestant at its peak."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.alone import alone

CALLS = 2
"""Calls of a contestant: the second one meets what the first has left."""

_MEBIBYTE = 2**20


def peak_memory(make: Callable[..., Callable[[], object]], *arguments: Any) -> tuple[float, float]:
    """Runs a contestant in a new process.

    Args:
        make: makes the contestant; a function at the top of a module.
        arguments: of ``make``.

    Returns:
        MiB that the process had held at most when the contestant was made, and after it was called twice.
    """
    made, called = alone(_run, make, arguments)
    return float(made), float(called)


def _run(make: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> tuple[float, float]:
    call = make(*arguments)
    made = _peak()
    for _ in range(CALLS):
        call()
    return made, _peak()


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
