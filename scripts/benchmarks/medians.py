"""Several runs of a benchmark as one: the median of each figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def medians(runs: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows with the median of each number and share over all runs; what is no figure is that of the first run.

    Args:
        runs: the rows of each run, in the same order.
    """
    return [{key: _median([row.get(key) for row in rows]) for key in rows[0]} for rows in zip(*runs, strict=True)]


def _median(values: Sequence[Any]) -> Any:
    if all(isinstance(value, float) for value in values):
        return statistics.median(values)
    if all(isinstance(value, str) and value.endswith("%") and value[:-1].isdigit() for value in values):
        return f"{round(statistics.median(int(value[:-1]) for value in values))}%"
    return values[0]
