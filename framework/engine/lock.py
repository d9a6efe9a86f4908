"""One process a run: a lock that names its owner and is taken over when the owner is gone."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType

from framework.errors import RunError


class RunLock:
    """Holds ``<run folder>/lock`` while a run is written to; use as a context manager.

    The file holds the owner's process id, host and the moment that the process started, so that a process id used again
    by another program is not taken for the owner.

    Raises:
        RunError: another process holds the lock and is alive, or cannot be asked because it is on another host.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"

    def __enter__(self) -> RunLock:
        for _ in range(2):
            if self._create():
                return self
            owner = self._owner()
            if owner is not None and _alive(owner):
                raise RunError(
                    f"{self.path.parent} is in use by process {owner.get('pid')} on {owner.get('host')}; "
                    "wait until it ends, stop it, or start another run with name=… or resume=never"
                )
            self._take_over()
        raise RunError(f"{self.path} was taken by another process at this moment; start again")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.path.unlink(missing_ok=True)

    def _create(self) -> bool:
        pid = os.getpid()
        text = json.dumps({"pid": pid, "host": socket.gethostname(), "started": _started(pid)})
        part = self.path.with_name(f".lock.{pid}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text, encoding="utf-8")
            os.link(part, self.path)  # fails where the lock is there: creation and content in one step
        except FileExistsError:
            if not self.path.parent.is_dir():
                raise RunError(f"{self.path.parent} is a file; a run needs a folder there") from None
            return False
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            part.unlink(missing_ok=True) if part.parent.is_dir() else None
        return True

    def _owner(self) -> dict[str, object] | None:
        try:
            owner = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return owner if isinstance(owner, dict) else None

    def _take_over(self) -> None:
        stale = self.path.with_name(f".lock.stale.{os.getpid()}")
        try:
            self.path.rename(stale)  # only one of several takers succeeds
        except FileNotFoundError:
            return
        stale.unlink(missing_ok=True)


def in_use(folder: Path) -> bool:
    """Whether a process that is alive, or is on another host and cannot be asked, holds the lock of a run's folder."""
    owner = RunLock(folder)._owner()
    return owner is not None and _alive(owner)


def _alive(owner: dict[str, object]) -> bool:
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or not isinstance(pid, int):
        return isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return owner.get("started") == _started(pid)


def _started(pid: int) -> str | None:
    """When a process started, in the system's own clock ticks; None where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
