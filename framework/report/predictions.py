"""A table of predictions with what they should be, such as translations or captions: the best and the worst of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOWN = 10
"""Predictions of each end."""


@dataclass(frozen=True)
class Judged:
    """One prediction with its score.

    Attributes:
        given: what it was made of, or its name.
        prediction: what the model made of it.
        references: all right ones.
        score: of this one, the higher the better.
        photo: gives what people see of what was given, ``(height, width, 3) uint8``, or None; None where it is no image.
    """

    given: str
    prediction: str
    references: Sequence[str]
    score: float
    photo: Callable[[], NDArray[np.uint8] | None] | None = None


def best_and_worst(judged: Sequence[Judged], measure: str, shown: int = SHOWN) -> str:
    """Markdown with the best and the worst predictions; of equals those that came first.

    Args:
        judged: all predictions.
        measure: name of the score.
        shown: predictions of each end; where there are fewer than twice as many, none is shown twice.
    """
    ranked = sorted(judged, key=lambda one: -one.score)
    best = ranked[: min(shown, (len(ranked) + 1) // 2)]
    worst = sorted(ranked[len(best) :], key=lambda one: one.score)[:shown]
    parts = [
        f"## {name} of {len(judged):,} predictions\n\n{_table(rows, measure)}" for name, rows in (("Best", best), ("Worst", worst)) if rows
    ]
    return "\n\n".join(parts) + "\n" if parts else ""


def _table(rows: Sequence[Judged], measure: str) -> str:
    lines = [f"| {_cell(measure)} | given | predicted | right |", "| ---: | --- | --- | --- |"]
    for one in rows:
        right = "<br>".join(_cell(reference) for reference in one.references)
        lines.append(f"| {one.score:.1f} | {_cell(one.given)} | {_cell(one.prediction)} | {right} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text as it is, whatever of it Markdown would read."""
    return re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", " ".join(text.split()))
