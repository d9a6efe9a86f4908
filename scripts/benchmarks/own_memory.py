"""What a process and all that it has started hold of memory of their own."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

_LOOK = 1.0
"""Seconds after which it is looked for processes that were started since; looking takes longer than reading."""


class OwnMemory:
    """The memory of a process and of all below it; pages of mapped files, which the system takes back as it likes, are not counted.

    Args:
        pid: of the first process.
    """

    def __init__(self, pid: int) -> None:
        self._first = psutil.Process(pid)
        self._known: list[psutil.Process] = []
        self._looked = float("-inf")

    def bytes(self) -> int:
        """What they hold now; 0 once they have ended."""
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            try:
                self._known = [self._first, *self._first.children(recursive=True)]
            except psutil.NoSuchProcess:
                self._known = []
        return sum(map(_own, self._known))


def _own(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    try:
        if not Path("/proc/self/status").is_file():
            return int(process.memory_full_info().uss)
        lines = [line for line in status.read_text().splitlines() if line.startswith("RssAnon:")]
        return int(lines[0].split()[1]) * 1024 if lines else 0
    except (OSError, psutil.Error):  # it has ended meanwhile
        return 0
