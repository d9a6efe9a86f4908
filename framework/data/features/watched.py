"""Who is told how the computing of features comes along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, int, str], None]
"""Told how many images are done, of how many, and the kind of features."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """While the block runs, ``watcher`` is told."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def tell(done: int, images: int, kind: str) -> None:
    """Tells whoever watches."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(done, images, kind)
