"""What a process and all that it has started hold of memory of their own."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

_LOOK = 1.0
"""Seconds after which it is looked for processes that were started since; looking takes longer than reading."""

_SIZES = ("RssAnon", "RssFile", "VmHWM")
"""What Linux tells of a process: pages of its own and of files that it holds, and the most that it has held of both."""


class OwnMemory:
    """The memory of a process and of all below it; pages of mapped files, which the system takes back as it likes, are not counted.

    Args:
        pid: of the first process.
    """

    def __init__(self, pid: int) -> None:
        self._first = psutil.Process(pid)
        self._known: list[psutil.Process] = []
        self._looked = float("-inf")
        self._peaks: dict[int, int] = {}

    def now(self) -> int:
        """Bytes that they hold; 0 once they have ended."""
        return sum(held for held, _ in self._read().values())

    def peak(self) -> int:
        """Bytes that they have held at most, each at its own time; to be called again and again until they end.

        Where Linux tells it, also what a process held for a moment between two calls counts.
        """
        for pid, (held, most) in self._read().items():
            self._peaks[pid] = max(self._peaks.get(pid, 0), held, most)
        return sum(self._peaks.values())

    def _read(self) -> dict[int, tuple[int, int]]:
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            try:
                self._known = [self._first, *self._first.children(recursive=True)]
            except psutil.NoSuchProcess:
                self._known = []
        return {process.pid: _own(process) for process in self._known}


def _own(process: psutil.Process) -> tuple[int, int]:
    """Bytes that a process holds of its own, and that it has held at most as far as the system tells."""
    if not Path("/proc/self/status").is_file():
        try:
            return int(process.memory_full_info().uss), 0
        except psutil.Error:  # it has ended meanwhile
            return 0, 0
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines) if name in _SIZES}
    if len(sizes) < len(_SIZES):
        return 0, 0
    anonymous, files, most = (sizes[name] for name in _SIZES)
    return anonymous, most - files  # the most of both, less the files' part, which hardly ever shrinks
