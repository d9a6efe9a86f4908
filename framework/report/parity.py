"""How far two backends are apart, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from framework.spec.measurements import ParityResult, ParityRow


def parity_report(found: ParityResult) -> list[str]:
    """Markdown lines: the tally, a line for each tensor, and where it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    lines = [f"{parity_tally(found.rows)}.", "", "| compared | which | largest difference | tolerance | |", "|---" * 5 + "|"]
    for row in found.rows:
        lines.append(f"| {row.what} | `{row.name}` | {_number(row.difference)} | {_tolerance(row)} | {_verdict(row)} |")
    place = f"Measured {found.measured} over {found.steps} steps on {found.hardware.get('processor')}"
    return [*lines, "", f"{place}; {versions}; config {found.config_digest[:12]}, data {found.data_digest[:12]}."]


def parity_lines(rows: Sequence[ParityRow]) -> list[str]:
    """The table for a terminal."""
    width = max(len(f"{row.what} {row.name}") for row in rows)
    lines = [f"{row.what + ' ' + row.name:<{width}}  {_number(row.difference)}  {_tolerance(row)}  {_verdict(row)}" for row in rows]
    return [*lines, parity_tally(rows)]


def parity_tally(rows: Sequence[ParityRow]) -> str:
    """``13 of 13 agree``."""
    return f"{sum(row.ok for row in rows)} of {len(rows)} agree"


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _tolerance(row: ParityRow) -> str:
    return f"tolerance {row.tolerance:.0e}" if row.tolerance else "must be equal"


def _verdict(row: ParityRow) -> str:
    return "ok" if row.ok else "MISSED"
