"""Locks between processes that the system lets go when their holder dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_POLL = 0.05
"""Seconds between two tries."""


@contextmanager
def file_lock(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds an exclusive lock on ``path``, which is made where there is none; waits for other processes.

    Args:
        path: the file to lock; it stays there, empty.
        waiting: called every now and then while another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        while not _try_lock(file):
            if waiting is not None:
                waiting()
            time.sleep(_POLL)
        try:
            yield
        finally:
            _unlock(file)


def is_locked(path: Path) -> bool:
    """Whether some process holds a :func:`file_lock` on ``path`` now."""
    if not path.is_file():
        return False
    with path.open("ab") as file:
        if not _try_lock(file):
            return True
        _unlock(file)
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
