"""The measured values of a run's folder, from where the last delivery ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from framework.spec.run_files import ValuesRecord
from framework.tracking.store import Value

FILES = ("metrics.jsonl", "system.jsonl")
"""What a run measures, and what is measured of the machine: a JSON object a line, with ``step``, ``time`` and ``values``."""


def read_values(path: Path, start: int) -> Iterator[tuple[list[Value], int]]:
    """The values of each whole line from byte ``start`` on, with the byte that the line ends at.

    A last line that is still being written is left out; a damaged line holds no values.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(start)
        end = start
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield _values(line), end


def size(path: Path) -> int:
    """Bytes in the file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _values(line: bytes) -> list[Value]:
    try:
        record = ValuesRecord.model_validate_json(line)
    except ValidationError:
        return []
    return [Value(name, value, round(record.time * 1000), record.step) for name, value in record.values.items()]
