"""The list of runs: what each came to, and in what the runs of one recipe differ."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.report.changed import short_keys, shown_value, written_value
from framework.report.progress import duration
from framework.report.tables import print_table, table_width
from framework.secrets import concealed

NOT_SET = "(not set)"
"""Stands for a setting that a run does not have, and another one has."""

_NUMBERS = ("epochs", "loss", "val_loss", "time", "size")

_ROOMY = 160
"""Columns from which on a run has one line."""

_SHORTEST_NAME = 16
_LONGEST_VALUE = 30
_LINES_OF_DIFFERENCES = 2
_INDENT = 6 * " "


@dataclass(frozen=True)
class RunRow:
    """One run in the list.

    Attributes:
        recipe: its recipe.
        name: its name.
        path: its folder.
        status: ``running``, ``finished``, ``stopped``, ``failed``, ``killed``, or ``unreadable``.
        backend: what it is trained on.
        epochs: epochs done.
        max_epochs: epochs to do.
        loss: mean training loss of the latest epoch, in nats a token.
        val_loss: validation loss of the latest validation, in nats a token.
        seconds: time in training.
        bytes: size on disk.
        started: when it began, in seconds since 1970.
        mlflow_run: id of its MLflow run.
        trouble: what of it cannot be read, and why; None where all can.
        differs: settings in which the recipe's runs differ, by dotted key.
    """

    recipe: str
    name: str
    path: str
    status: str
    backend: str | None = None
    epochs: int = 0
    max_epochs: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    seconds: float = 0.0
    bytes: int = 0
    started: float | None = None
    mlflow_run: str | None = None
    trouble: str | None = None
    differs: Mapping[str, Any] = field(default_factory=dict)


def print_runs(rows: Sequence[RunRow]) -> None:
    """Prints the list: a line for each run where there is room for that, else recipe by recipe, what differs below each run."""
    width = table_width()
    if width < _ROOMY:
        for line in narrow_lines(rows, width):
            print(concealed(line))
        return
    titles = ("run", "status", "backend", *_NUMBERS, "differs in")
    print_table(titles, [_cells(row) for row in rows], whole=titles[:3], numbers=_NUMBERS)


def narrow_lines(rows: Sequence[RunRow], width: int) -> Iterator[str]:
    """The list in lines no longer than so many characters.

    Args:
        rows: the runs, those of one recipe together.
        width: 80, or so.
    """
    figures = [(row.status, *_figures(row)) for row in rows]
    titles = ("status", *_NUMBERS)
    widths = [max(map(len, column)) for column in zip(titles, *figures, strict=True)]
    room = max(_SHORTEST_NAME, width - sum(widths) - 2 * len(widths))
    yield f"{'run':{room}}  {_aligned(titles, widths)}".rstrip()
    recipe = None
    for row, cells in zip(rows, figures, strict=True):
        if row.recipe != recipe:
            recipe = row.recipe
            yield from ("", *_folded(f"{recipe}/", width))
        name = f"  {row.name}"
        if len(name) > room:  # whole, so that it can be copied, with its figures below
            yield from _folded(name, width)
            name = ""
        yield f"{name:{room}}  {_aligned(cells, widths)}".rstrip()
        yield from _differing_lines(row.differs, width)


def size(number: int) -> str:
    """``812 B``, ``48.2 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _cells(row: RunRow) -> list[str]:
    differs = " ".join(f"{key}={written_value(value)}" for key, value in row.differs.items())
    return [f"{row.recipe}/{row.name}", row.status, row.backend or "", *_figures(row), differs]


def _figures(row: RunRow) -> list[str]:
    epochs = f"{row.epochs}/{row.max_epochs}" if row.max_epochs is not None else ""
    losses = ["" if loss is None else f"{loss:.4f}" for loss in (row.loss, row.val_loss)]
    return [epochs, *losses, duration(row.seconds), size(row.bytes)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The status to the left, numbers to the right."""
    padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
    return "  ".join([f"{cells[0]:<{widths[0]}}", *padded[1:]])


def _folded(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)] or [""]


def _end(value: str) -> str:
    """The end of a long value, which tells a path from others best."""
    return value if len(value) <= _LONGEST_VALUE else f"…{value[1 - _LONGEST_VALUE :]}"


def _differing_lines(differs: Mapping[str, Any], width: int) -> list[str]:
    """What differs, in few lines; the rest is counted."""
    names = short_keys(differs)
    words = [f"{names[key]}={_end(shown_value(value))}" for key, value in differs.items() if value != NOT_SET]
    lines: list[str] = []
    for kept in range(len(words), 0, -1):
        more = f", … {len(words) - kept} more: --json" if kept < len(words) else ""
        lines = textwrap.wrap(", ".join(words[:kept]) + more, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
        if len(lines) <= _LINES_OF_DIFFERENCES:
            break
    return lines
