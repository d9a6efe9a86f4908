"""A table of predictions with what they should be, such as translations: the best and the worst of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 10
"""Translations of each end."""


@dataclass(frozen=True)
class Judged:
    """One translation with its score.

    Attributes:
        source: what was translated.
        translation: what the model made of it.
        references: all right ones.
        score: of this sentence, the higher the better.
    """

    source: str
    translation: str
    references: Sequence[str]
    score: float


def best_and_worst(judged: Sequence[Judged], measure: str, shown: int = SHOWN) -> str:
    """Markdown with the best and the worst translations; of equals those that came first.

    Args:
        judged: all translations.
        measure: name of the score.
        shown: translations of each end; where there are fewer than twice as many, none is shown twice.
    """
    ranked = sorted(judged, key=lambda one: -one.score)
    best = ranked[: min(shown, (len(ranked) + 1) // 2)]
    worst = sorted(ranked[len(best) :], key=lambda one: one.score)[:shown]
    parts = [
        f"## {name} of {len(judged):,} translations\n\n{_table(rows, measure)}" for name, rows in (("Best", best), ("Worst", worst)) if rows
    ]
    return "\n\n".join(parts) + "\n" if parts else ""


def _table(rows: Sequence[Judged], measure: str) -> str:
    lines = [f"| {_cell(measure)} | source | translation | right |", "| ---: | --- | --- | --- |"]
    for one in rows:
        right = "<br>".join(_cell(reference) for reference in one.references)
        lines.append(f"| {one.score:.1f} | {_cell(one.source)} | {_cell(one.translation)} | {right} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text as it is, whatever of it Markdown would read."""
    return re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", " ".join(text.split()))
