"""Ctrl-C, SIGTERM and SIGHUP end a run in order: a checkpoint is written and the run marked."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """While open, the first Ctrl-C, SIGTERM or SIGHUP only asks to stop; a second Ctrl-C interrupts at once.

    SIGHUP comes where the terminal, or the connection to it, is closed; ``nohup`` has it ignored, and it stays so.

    Attributes:
        received: name of the signal that asked, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set handlers
            for number in (signal.SIGINT, signal.SIGTERM, *_hangup()):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self.received is not None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, any of the signals interrupts, the first one too: the run has ended, and nothing is left to be saved."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._at_once or (self.received is not None and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name


def _hangup() -> list[signal.Signals]:
    """SIGHUP, where the system has it and nobody has it ignored."""
    number = getattr(signal, "SIGHUP", None)
    return [] if number is None or signal.getsignal(number) is signal.SIG_IGN else [number]
