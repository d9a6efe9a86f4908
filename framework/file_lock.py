"""Locks between processes that the system lets go when their holder dies, whatever its children do."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framework.errors import RunError

RUN_LOCK, MULTIRUN_LOCK = "lock", ".running"
"""Held in the folder of a run by whoever trains it, and in that of a multirun while its jobs run."""

_POLL = 0.05
"""Seconds between two tries."""

_FAR = 2**30
"""Where Windows locks a byte: what is locked there cannot be read by others."""

_held: set[FileLock] = set()


class FileLock:
    """An exclusive lock on a file, of this process alone: a child never has it, nor can it keep it or let it go.

    On a network file system two hosts exclude each other where it carries locks to the server (NFS, and Lustre mounted with
    ``flock``, do; mounts with local locks do not).

    Args:
        path: the file to lock, made where there is none; a link there is refused. Its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Takes the lock unless another holder has it, in this process or another; whether it was taken.

        Raises:
            RunError: the file cannot be opened, or its file system has no locks.
        """
        while True:
            try:
                descriptor = _open(self.path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error
            if not self._lock(descriptor):
                os.close(descriptor)
                return False
            if _is_at(descriptor, self.path):
                self._descriptor = descriptor
                _held.add(self)
                return True
            os.close(descriptor)  # the holder before has removed this file: another one counts now

    def release(self, remove: bool = False) -> None:
        """Lets the lock go; nothing in a child that was forked while it was held.

        Args:
            remove: whether the file goes too.
        """
        if self._descriptor is None:
            return
        _held.discard(self)
        if remove and _is_at(self._descriptor, self.path):
            with suppress(OSError):  # Windows keeps what is open
                self.path.unlink()
        _unlock(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None

    def read(self) -> bytes:
        """What the locked file holds."""
        assert self._descriptor is not None
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, 4096)

    def write(self, content: bytes) -> None:
        """Replaces what the locked file holds, for others to read.

        Raises:
            RunError: it cannot be written.
        """
        assert self._descriptor is not None
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, content)
            os.ftruncate(self._descriptor, len(content))
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def forget(self) -> None:
        """In a child: closes what it has inherited, so that it keeps no lock that its parent leaves."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> bool:
        try:
            return _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise RunError(f"{self.path} lies on a file system without locks ({error.strerror}); use a folder on another one") from error


@contextmanager
def file_lock(path: Path, patience: float = math.inf, waiting: Callable[[], None] | None = None, remove: bool = False) -> Iterator[None]:
    """Holds an exclusive lock on ``path``, which is made where there is none; waits for other processes.

    Args:
        path: the file to lock; it stays there, empty.
        patience: seconds to wait at most.
        waiting: called once, if another holder has to be waited for.
        remove: whether the file goes with the lock.

    Raises:
        RunError: see :meth:`FileLock.acquire`.
        TimeoutError: another process has held it for longer.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    lock, since = FileLock(path), time.monotonic()
    while not lock.acquire():
        if waiting is not None:
            waiting()
            waiting = None
        if time.monotonic() - since > patience:
            raise TimeoutError(f"another process has held {path} for {patience:.0f} seconds")
        time.sleep(_POLL)
    try:
        yield
    finally:
        lock.release(remove)


def is_locked(path: Path) -> bool:
    """Whether some process holds a :class:`FileLock` on ``path`` now, or may hold it where that cannot be told; disturbs nobody."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _try_look(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def _forget_all() -> None:
    while _held:
        _held.pop().forget()


if hasattr(os, "register_at_fork"):
    # A forked child has the open file too, and with it the lock, for as long as it lives: workers of a data loader may live longer
    # than a run that was killed. Programs that are started do not inherit open files.
    os.register_at_fork(after_in_child=_forget_all)

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _try_look(descriptor: int) -> bool:
        if not _try_lock(descriptor):
            return False
        _unlock(descriptor)
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _try_look(descriptor: int) -> bool:
        # Shared with others who look; gone when the file is closed.
        return _try_lock(descriptor, fcntl.LOCK_SH)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
