"""What an evaluation leaves in a run's folder: a page, and a sheet of photos where there are any."""

from __future__ import annotations

from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.scoring import Scored
from framework.report.contact_sheet import draw_contact_sheet
from framework.report.figures import figure
from framework.report.predictions import best_and_worst


def write_evaluation(folder: RunFolder, part: str, scored: Scored, title: str | None = None) -> None:
    """Writes ``evaluations/PART.md``, and ``evaluations/PART.png`` with photos and captions where photos were captioned.

    Args:
        folder: of the run.
        part: of the data that was measured.
        scored: what was found.
        title: what exactly was measured; the part when not given.

    Raises:
        RunError: a file cannot be written.
    """
    write_text(folder.evaluations / f"{part}.md", evaluation_page(folder.name, title or part, scored))
    if scored.measure is not None:
        draw_contact_sheet(folder.evaluations / f"{part}.png", scored.judged, scored.measure)


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
