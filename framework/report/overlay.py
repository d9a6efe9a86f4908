"""Pictures of where a model looked: a panel for each word of a caption, the photo with the word's attention over it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import InputError
from framework.report.picture import draw_figure

_PANEL = 1.9
"""Inches of a panel's longer side."""

_TITLE = 0.32
"""Inches of the word above it."""

_ACROSS = 5
"""Panels beside one another, where there are many."""

_SHADE = 0.75
"""How dark a place becomes that is not looked at."""


def draw_overlay(path: Path, photo: NDArray[np.uint8], attention: NDArray[np.floating[Any]], words: Sequence[str]) -> None:
    """Draws a caption's attention over the photo into a PNG file: the photo as it is, then bright places for each word, the rest dark.

    Between the places of the attention its weights are interpolated, so that no grid is seen that the model does not have in the photo.
    Each panel is scaled by its own largest weight.

    Args:
        path: file to write; its folder is made.
        photo: ``(height, width, 3)``.
        attention: ``(words, places)``, the places of a square grid, row by row; or ``(words, rows, columns)``.
        words: of the caption.

    Raises:
        InputError: the places are those of no grid, or there are not as many rows of attention as words.
        RunError: the file cannot be written.
    """
    weights = _as_grids(attention, len(words))
    columns = min(_ACROSS, len(words) + 1)
    rows = ceil((len(words) + 1) / columns)
    height, width = photo.shape[:2]
    panel = (_PANEL * min(1.0, width / height), _PANEL * min(1.0, height / width))

    def paint(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        grid[0].imshow(photo)
        for axes, word, weight in zip(grid[1:], words, weights, strict=False):
            axes.imshow(_lit(photo, weight))
            axes.set_title(word, fontsize=10, pad=3, parse_math=False)

    draw_figure(path, paint, (columns * (panel[0] + 0.1), rows * (panel[1] + _TITLE)))


def _as_grids(attention: NDArray[np.floating[Any]], words: int) -> NDArray[np.floating[Any]]:
    if len(attention) != words:
        raise InputError(f"there are {words} words and attention of {len(attention)}; expected as many")
    if attention.ndim == 3:
        return attention
    side = isqrt(attention.shape[1])
    if side * side != attention.shape[1]:
        raise InputError(f"{attention.shape[1]} places make no square grid; expected a square number such as 49 or 64")
    return attention.reshape(words, side, side)


def _lit(photo: NDArray[np.uint8], weight: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The photo, dark where the weight is low."""
    height, width = photo.shape[:2]
    light = _enlarged(weight / max(float(weight.max(initial=0.0)), 1e-12), height, width)
    shade = 1.0 - _SHADE * (1.0 - light)
    return np.asarray(photo * shade[..., np.newaxis] + 0.5, np.uint8)


def _enlarged(weight: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.float64]:
    """Bilinear, each place's weight in the middle of its cell."""
    return _along(_along(np.asarray(weight, np.float64), height).T, width).T


def _along(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The rows of ``values`` enlarged to ``length``."""
    places = np.clip((np.arange(length) + 0.5) * len(values) / length - 0.5, 0, len(values) - 1)
    low = np.minimum(places.astype(np.int64), max(0, len(values) - 2))
    high = np.minimum(low + 1, len(values) - 1)
    share = (places - low)[:, np.newaxis]
    return np.asarray(values[low] * (1 - share) + values[high] * share)
