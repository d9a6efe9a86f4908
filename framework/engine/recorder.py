"""Every value that a run measures, once, in the run's own folder; trackers read it from there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from framework.engine.files import drop_cut_line
from framework.errors import RunError


@dataclass(frozen=True)
class Record:
    """Values measured at one moment.

    Attributes:
        step: optimizer steps done.
        epoch: epochs done, with the part of the unfinished one.
        time: seconds since 1970.
        values: by metric name, such as ``loss`` or ``epoch/val_loss``.
    """

    step: int
    epoch: float
    time: float
    values: Mapping[str, float]


class Recorder:
    """Appends to ``metrics.jsonl``. A value already recorded before a kill is not recorded again when its step is done once more.

    Args:
        path: the file; a last line cut short by a kill is taken off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[tuple[int, str]] = set()
        drop_cut_line(path)
        for record in read_records(path):
            self._seen.update((record.step, name) for name in record.values)
        self._file: TextIO | None = None

    def record(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Adds what is new of ``values``.

        Raises:
            RunError: the file cannot be written.
        """
        new = {name: float(value) for name, value in values.items() if (step, name) not in self._seen}
        if not new:
            return
        self._seen.update((step, name) for name in new)
        line = json.dumps({"step": step, "epoch": round(epoch, 6), "time": round(time.time(), 3), "values": new})
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8")
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def has(self, name: str) -> bool:
        """Whether any value of that name is recorded."""
        return any(seen == name for _, seen in self._seen)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def read_records(path: Path) -> Iterator[Record]:
    """The records of a run, oldest first; a last line cut short is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield Record(**json.loads(line))
