"""Who is told how a preparation comes along that takes longer than a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, int, str, str], None]
"""Told how many are done, of how many, what is made, and of what: ``patches features`` of ``images``."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """While the block runs, ``watcher`` is told."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def tell(done: int, total: int, made: str, things: str) -> None:
    """Tells whoever watches.

    Args:
        done: things that are done.
        total: things in all.
        made: what is made of them, as a person reads it.
        things: what they are called.
    """
    watcher = _watcher.get()
    if watcher is not None:
        watcher(done, total, made, things)
