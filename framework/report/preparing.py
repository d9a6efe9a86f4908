"""What a person sees while data is prepared for longer: a bar on a terminal, some lines elsewhere, nothing where all is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from framework.data.watched import watched_by

_PARTS = 10
"""Lines without a terminal."""


@contextmanager
def preparation_progress(console: Console) -> Iterator[None]:
    """Shows on the console what is prepared while the block runs."""
    shown = _Shown(console)
    try:
        with watched_by(shown):
            yield
    finally:
        shown.end()


class _Shown:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._since = time.perf_counter()
        self._first: int | None = None
        self._told = 0

    def __call__(self, done: int, total: int, made: str, things: str) -> None:
        if self._first is None:
            self._since, self._first, self._told = time.perf_counter(), done, done * _PARTS // total
            if self._console.is_terminal:
                self._bar = _bar(self._console, things)
                self._bar.start()
                self._bar.add_task(made, total=total, rate="–")
        rate = (done - self._first) / max(time.perf_counter() - self._since, 1e-9)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, rate=f"{rate:,.1f}" if rate else "–")
        elif (part := done * _PARTS // total) > self._told:
            self._told = part
            speed = f", {rate:,.1f} a second" if rate else ""
            self._console.print(f"{made}: {done:,} of {total:,} {things}{speed}", markup=False, highlight=False, soft_wrap=True)
        if done == total:
            self.end()

    def end(self) -> None:
        """Takes the bar away; the next one begins anew."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._first = None, None


def _bar(console: Console, things: str) -> Progress:
    counts = TextColumn(f"{{task.completed}}/{{task.total}} {things}")
    columns = (counts, TextColumn(f"{{task.fields[rate]}} {things}/s"), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console, refresh_per_second=4)
