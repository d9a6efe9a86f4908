"""The list of runs: what each came to, and in what the runs of one recipe differ."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framework.report.progress import duration

_WIDE = 400
"""Columns where there is no terminal: nothing is wrapped."""


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
    """Prints the list as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "status", "backend"):
        table.add_column(title, no_wrap=True)
    for title in ("epochs", "loss", "val_loss", "time", "size"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("differs in", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def size(number: int) -> str:
    """``812 B``, ``48.2 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _cells(row: RunRow) -> list[str]:
    differs = " ".join(f"{key}={value}" for key, value in row.differs.items())
    epochs = f"{row.epochs}/{row.max_epochs}" if row.max_epochs is not None else ""
    losses = ["" if loss is None else f"{loss:.4f}" for loss in (row.loss, row.val_loss)]
    return [f"{row.recipe}/{row.name}", row.status, row.backend or "", epochs, *losses, duration(row.seconds), size(row.bytes), differs]
