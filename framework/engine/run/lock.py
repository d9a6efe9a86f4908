"""One process a run: a lock that the system lets go with its owner, and that names it."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from framework.engine.run.links import refuse_links
from framework.errors import RunError
from framework.file_lock import RUN_LOCK, FileLock, is_locked
from framework.files import parse_json, read_plain

LOCK = RUN_LOCK

_PATIENCE = 0.5
"""Seconds to try again: somebody who only looks whether the run is in use holds the lock for a moment."""

_POLL = 0.01


class RunLock:
    """Holds ``<run folder>/lock`` while a run is written to; use as a context manager.

    The lock is the system's (``flock``): it ends with this process, however that ends, and no child has it. The file tells others
    the owner's process id and host. Where it was written by a version of Gatework whose lock was the file alone, its owner still
    counts: told by process id, host and the moment that the process started.

    Raises:
        RunError: another process holds the lock; the folder cannot be written, or holds links out of it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._lock = FileLock(self.path)

    def __enter__(self) -> RunLock:
        self._make_folder()
        refuse_links(self.path.parent)
        deadline = time.monotonic() + _PATIENCE
        while not self._acquire():
            if time.monotonic() > deadline:
                raise self._in_use(_parsed(_content(self.path)))
            time.sleep(_POLL)
        try:
            owner = _parsed(self._lock.read())
            if _is_old(owner) and _alive(owner):
                raise self._in_use(owner)
            pid = os.getpid()
            record = {"pid": pid, "host": socket.gethostname(), "started": _started(pid), "lock": "flock"}
            self._lock.write(json.dumps(record).encode())
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release(remove=True)

    def _acquire(self) -> bool:
        if not self.path.parent.is_dir():  # a start that failed has just taken it away
            self._make_folder()
        return self._lock.acquire()

    def _make_folder(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise RunError(f"{folder} is a file; a run needs a folder there") from None
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _in_use(self, owner: dict[str, Any]) -> RunError:
        who = f"process {owner['pid']} on {owner.get('host')}" if "pid" in owner else "another process"
        return RunError(
            f"{self.path.parent} is in use by {who}; wait until it ends, stop it, or start another run with name=… or resume=never"
        )


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock of a run's folder, or may hold it where that cannot be told; disturbs nobody."""
    path = folder / LOCK
    if is_locked(path):
        return True
    owner = _parsed(_content(path))
    return _is_old(owner) and _alive(owner)


def _content(path: Path) -> bytes:
    try:
        return read_plain(path)
    except OSError:
        return b""


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        owner = parse_json(content)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_old(owner: dict[str, Any]) -> bool:
    """Whether the file alone was the lock; an owner of now has let it go if anybody else can take it."""
    return "pid" in owner and owner.get("lock") != "flock"


def _alive(owner: dict[str, Any]) -> bool:
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if owner.get("host") != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return owner.get("started") == _started(pid)


def _started(pid: int) -> str | None:
    """When a process started, in the system's own clock ticks; None where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError, ValueError):
        return None
