"""Figures of a benchmark as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from framework.spec.measurements import BenchmarkResult


def benchmark_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown lines: a column for each key, in the order in which the rows bring them."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return [*lines, *(f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows)]


def benchmark_lines(found: BenchmarkResult) -> list[str]:
    """A benchmark's file as Markdown: its table, then where it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    busy = f" The machine was busy: {found.busy}." if found.busy else ""
    return [*benchmark_table(found.rows), "", f"Measured {found.measured} on {found.machine}; {versions}.{busy}"]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
