"""A script that is asked to end takes with it what it has started."""

from __future__ import annotations

import signal
import sys
from types import FrameType

_GONE = 10.0
"""Seconds that a killed child is waited for, which writes into a folder that is to go."""


def end_with_children() -> None:
    """Makes SIGTERM an end like any other, for as long as the process lives: its children are killed, temporary folders go.

    Without it Python ends at once, and a training that was to be measured goes on alone.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    import psutil

    children = psutil.Process().children()
    for child in children:
        child.kill()
    psutil.wait_procs(children, _GONE)
    sys.exit(128 + number)
