"""Pictures of what a model attended to: a row for each token it wrote, a column for each token it read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.report.picture import draw

_CELL = 0.3
"""Inches of a token, where there is room for all."""

_LARGEST = 40.0
"""Inches of a side at most."""

_READABLE = 0.11
"""Inches that a label needs."""

_LETTERS = 28
"""Letters of a label at most."""


_NO_LETTERS = "Last Resort"
"""A font that comes with matplotlib, and has one and the same box for all letters of a script."""


def draw_attention(path: Path, attention: NDArray[np.floating[Any]], written: Sequence[str], read: Sequence[str]) -> None:
    """Draws attention weights into a PNG file.

    Words stand as they are, with their accents, right-to-left ones in their own direction; letters that no installed font has are
    written by their code points. Of very long sentences every n-th word is named.

    Args:
        path: file to write; its folder is made.
        attention: ``(written, read)``.
        written: tokens of the translation, from top to bottom.
        read: tokens of the source, from left to right.

    Raises:
        RunError: the file cannot be written.
    """
    rows, columns = (_labels(tokens) for tokens in (written, read))
    families, (rows, columns) = _drawable(rows, columns)
    cells = [min(_CELL, _LARGEST / max(1, len(tokens))) for tokens in (written, read)]
    # Beside the cells, the labels take room, and the bar that tells the colours.
    height = max(2.0, cells[0] * len(written)) + 0.4 + 0.09 * max(map(len, columns), default=0)
    width = max(2.0, cells[1] * len(read)) + 1.0 + 0.09 * max(map(len, rows), default=0)

    def paint(axes: Any) -> None:
        image = axes.imshow(attention, cmap="viridis", vmin=0.0, vmax=max(1e-9, float(attention.max(initial=0.0))), aspect="auto")
        for side, labels, cell in ((axes.yaxis, rows, cells[0]), (axes.xaxis, columns, cells[1])):
            every = max(1, int(np.ceil(_READABLE / cell)))
            places = range(0, len(labels), every)
            # As plain text: a dollar sign begins no formula.
            texts = [labels[place] for place in places]
            side.set_ticks(list(places), texts, fontsize=min(10.0, 60 * cell * every), fontfamily=families, parse_math=False)
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", labelrotation=90, length=2)
        axes.tick_params(axis="y", length=2)
        axes.figure.colorbar(image, ax=axes, shrink=0.6, label="attention")

    draw(path, paint, (width, height))


def _labels(tokens: Sequence[str]) -> list[str]:
    return [token if len(token) <= _LETTERS else token[: _LETTERS - 1] + "…" for token in tokens]


def _drawable(*groups: list[str]) -> tuple[list[str], list[list[str]]]:
    """Font families that have the letters of all labels between them, and the labels, letters that none has by their code points."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    families = ["DejaVu Sans"]
    wanted = {ord(letter) for labels in groups for label in labels for letter in label if letter.isprintable()}
    missing = wanted - get_font(findfont(FontProperties(family=families))).get_charmap().keys()
    for entry in fontManager.ttflist if missing else ():
        found = missing & _letters(entry.fname)
        if found and entry.name not in families and not entry.name.startswith(_NO_LETTERS):
            families.append(entry.name)
            missing -= found
        if not missing:
            break
    written = [["".join(_written(letter, missing) for letter in label) for label in labels] for labels in groups]
    return families, written


def _letters(file: str) -> set[int]:
    from matplotlib.font_manager import get_font

    try:
        return set(get_font(file).get_charmap())
    except (OSError, RuntimeError):  # a font that cannot be read has none
        return set()


def _written(letter: str, missing: set[int]) -> str:
    return letter if letter.isprintable() and ord(letter) not in missing else f"U+{ord(letter):04X}"
