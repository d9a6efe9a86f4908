"""Tables of what was checked: each row against a reference, by value and by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

LAYERS = {"name": "configuration", "verdict": "verdict", "kernel": "kernel seen"}
"""Columns of the layers' table, before the figures: titles by the rows' keys."""

RECIPES = {"name": "training step of", "parameters": "parameters"}
"""Those of the recipes' table."""


def attempt(name: str, check: Callable[[], dict[str, Any]], refused: type[Exception] | tuple[()] = ()) -> dict[str, Any]:
    """What a check found, with its name; where it failed, the reason, so that the other checks run as well.

    Args:
        name: the row's.
        check: gives the row.
        refused: an error that means that the check cannot be made here; it is raised.
    """
    try:
        return {"name": name, **check()}
    except refused:
        raise
    except Exception as error:
        return {"name": name, "error": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}", "ok": False}


def table(columns: dict[str, str], reference: str, rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown.

    Args:
        columns: :data:`LAYERS` or :data:`RECIPES`.
        reference: what the rows are compared with.
        rows: from :func:`attempt`, with ``difference``, ``ms``, ``reference_ms`` and ``ok``, or with ``error``.
    """
    titles = [*columns.values(), "difference", "ms", f"{reference} ms", "faster", ""]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        first = [_text(row.get(key, "")) for key in columns]
        lines.append([*first, *([""] * 4 if "error" in row else _figures(row)), _outcome(row)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures(row: dict[str, Any]) -> list[str]:
    return [f"{row['difference']:.1e}", f"{row['ms']:.2f}", f"{row['reference_ms']:.2f}", f"{row['reference_ms'] / row['ms']:.1f} ×"]


def _outcome(row: dict[str, Any]) -> str:
    if row["ok"]:
        return "ok"
    return f"FAILED: {row['error']}" if "error" in row else "FAILED"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
