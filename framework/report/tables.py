"""Tables on a terminal, as wide as that is; elsewhere nothing is wrapped, unless ``COLUMNS`` says how wide they shall be."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNWRAPPED = 400


def table_width() -> int:
    """Columns that a table may have."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return Console().width if sys.stdout.isatty() else _UNWRAPPED


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], whole: Collection[str] = (), numbers: Collection[str] = ()) -> None:
    """Prints a table without lines between its columns; what has no room in a cell goes on below.

    Args:
        titles: of the columns from left to right.
        rows: cells of each row.
        whole: titles of columns that are never folded.
        numbers: likewise, and stand to the right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in (*whole, *numbers), justify="right" if title in numbers else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=table_width(), highlight=False).print(table)
