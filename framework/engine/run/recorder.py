"""Every value that a run measures, once, in the run's own folder; trackers read it from there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from framework.engine.run.files import drop_cut_line, reason
from framework.errors import RunError
from framework.files import open_plain, parse_json
from framework.spec.run_files import MeasuredRecord, parse_file

EPOCH = "epoch/"
"""What names of values begin with that a whole epoch has."""


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

    @property
    def of_epoch(self) -> dict[str, float]:
        """What a whole epoch measured, by name, such as ``val_loss``; empty for any other moment."""
        return {name.removeprefix(EPOCH): value for name, value in self.values.items() if name.startswith(EPOCH)}


class Recorder:
    """Appends to ``metrics.jsonl``. A value already recorded before a kill is not recorded again when its step is done once more.

    Args:
        path: the file; a last line cut short by a kill is taken off.
        warn: told of damaged lines, whose values are recorded anew when their steps are done again.

    Attributes:
        last_step: the latest step of which anything is recorded; -1 where there is nothing.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.last_step = -1
        self._seen: set[tuple[int, str]] = set()
        drop_cut_line(path)
        for record in read_records(path, warn):
            self._seen.update((record.step, name) for name in record.values)
            self.last_step = max(self.last_step, record.step)
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
        self.last_step = max(self.last_step, step)
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

    def sync(self) -> None:
        """Puts what is recorded on the disk, so that no checkpoint is newer than the values before it.

        Raises:
            RunError: it cannot be written.
        """
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Closes the file; its content is on the disk.

        Raises:
            RunError: it cannot be written.
        """
        try:
            self.sync()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None


def read_records(path: Path, warn: Callable[[str], None] | None = None, only: bytes = b"") -> Iterator[Record]:
    """The records of a run, oldest first; a last line cut short is left out, and so is a damaged one.

    Args:
        path: the file; nothing where it is missing.
        warn: told once how many lines are damaged, and which is the first.
        only: a text that a line must have in it to be looked at.

    Raises:
        RunError: the file cannot be read.
    """
    damaged, first = 0, ""
    try:
        with open_plain(path) as file:
            for number, line in enumerate(file, start=1):
                if only in line and line.endswith(b"\n"):
                    try:
                        yield _record(line)
                    except ValueError as error:
                        damaged, first = damaged + 1, first or f"line {number}: {reason(error)}"
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {path}: {reason(error)}") from error
    if damaged and warn is not None:
        lines = "a line that is" if damaged == 1 else f"{damaged} lines that are"
        warn(f"{path} has {lines} damaged and left out; {first}")


def _record(line: bytes) -> Record:
    try:
        found = MeasuredRecord.model_validate_json(line)  # there may be millions
    except ValidationError:
        found = MeasuredRecord(**parse_file(MeasuredRecord, parse_json(line)))  # says what is wrong
    return Record(found.step, found.epoch, found.time, found.values)
