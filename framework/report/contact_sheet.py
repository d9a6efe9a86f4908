"""A sheet of photos, each with what a model wrote of it and what people did."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from framework.report.picture import draw_figure
from framework.report.predictions import Judged

PHOTOS = 12
"""Photos of a sheet, at most."""

_ACROSS = 4
_WIDTH = 3.2
"""Inches of a photo."""

_LINE = 0.16
"""Inches of a line of text."""

_LETTERS = 46
_REFERENCES = 2
_LINES = 8


def draw_contact_sheet(path: Path, judged: Sequence[Judged], measure: str) -> bool:
    """Draws photos with their captions into a PNG file; whether there was a photo to draw.

    Which ones does not depend on how good they are: they are spread evenly over all.

    Args:
        path: file to write; its folder is made.
        judged: all predictions.
        measure: name of their score.

    Raises:
        DataError: a photo cannot be read.
        RunError: the file cannot be written.
    """
    count = min(PHOTOS, len(judged))
    chosen = [judged[number * len(judged) // count] for number in range(count)]
    photos = [(one, photo) for one in chosen if one.photo is not None and (photo := one.photo()) is not None]
    if not photos:
        return False
    columns = min(_ACROSS, len(photos))
    rows = ceil(len(photos) / columns)

    def paint(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, (one, photo) in zip(grid, photos, strict=False):
            axes.imshow(photo)
            axes.set_anchor("N")
            axes.set_title(textwrap.fill(one.prediction, _LETTERS - 6) or "(nothing)", fontsize=9, pad=4, parse_math=False)
            lines = [f"{measure} {one.score:.2f}"]
            for reference in one.references[:_REFERENCES]:
                lines += textwrap.wrap(f"· {reference}", _LETTERS, subsequent_indent="  ")
            text = "\n".join(lines[:_LINES])
            axes.text(0.0, -0.02, text, transform=axes.transAxes, fontsize=7, va="top", color="0.35", parse_math=False)

    draw_figure(path, paint, (columns * _WIDTH, rows * (_WIDTH + _LINE * (_LINES + 2))))
    return True
