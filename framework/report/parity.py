"""How far two backends are apart, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def parity_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown lines: the tally, then a line for each tensor.

    Args:
        rows: with ``what``, ``name``, ``difference``, ``tolerance`` and ``ok``.
    """
    lines = [f"{parity_tally(rows)}.", "", "| compared | which | largest difference | tolerance | |", "|---" * 5 + "|"]
    for row in rows:
        lines.append(f"| {row['what']} | `{row['name']}` | {_number(row['difference'])} | {_tolerance(row)} | {_verdict(row)} |")
    return lines


def parity_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same for a terminal."""
    width = max(len(f"{row['what']} {row['name']}") for row in rows)
    lines = [
        f"{row['what'] + ' ' + row['name']:<{width}}  {_number(row['difference'])}  {_tolerance(row)}  {_verdict(row)}" for row in rows
    ]
    return [*lines, parity_tally(rows)]


def parity_tally(rows: Sequence[Mapping[str, Any]]) -> str:
    """``13 of 13 agree``."""
    return f"{sum(bool(row['ok']) for row in rows)} of {len(rows)} agree"


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _tolerance(row: Mapping[str, Any]) -> str:
    return f"tolerance {row['tolerance']:.0e}" if row["tolerance"] else "must be equal"


def _verdict(row: Mapping[str, Any]) -> str:
    return "ok" if row["ok"] else "MISSED"
