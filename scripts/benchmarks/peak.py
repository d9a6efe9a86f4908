"""Memory of a contestant at its peak, in a process of its own: what another one has held before does not count."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

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
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, make, arguments), daemon=True)
    process.start()
    sender.close()
    made, called = receiver.recv()
    process.terminate()  # a contestant may have left threads behind
    process.join()
    return float(made), float(called)


def _run(sender: Connection, make: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> None:
    call = make(*arguments)
    made = _peak()
    for _ in range(CALLS):
        call()
    sender.send((made, _peak()))


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
