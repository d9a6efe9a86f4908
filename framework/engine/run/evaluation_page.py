"""The page that an evaluation leaves in a run's folder."""

from __future__ import annotations

from framework.engine.run.scoring import Scored
from framework.report.figures import figure
from framework.report.translations import best_and_worst


def evaluation_page(run: str, split: str, scored: Scored) -> str:
    """Markdown: all figures with their signatures, and the best and worst predictions.

    Args:
        run: its name.
        split: part of the data that was measured.
        scored: what was found.
    """
    lines = [f"# {run} on {split}", "", "| score | value | signature |", "| --- | ---: | --- |"]
    for name, one in scored.figures.items():
        signature = one.signature.replace("|", "\\|")
        lines.append(f"| {name} | {figure(one.value)} | {signature} |")
    table = best_and_worst(scored.judged, scored.measure) if scored.measure is not None else ""
    return "\n".join([*lines, "", table]).rstrip() + "\n"
