"""A picture in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.errors import RunError
from framework.files import replacing


def draw(path: Path, paint: Callable[[Any], None], size: tuple[float, float] = (7, 4.2)) -> None:
    """Draws one pair of axes into a PNG file, which appears whole.

    Args:
        path: file to write; its folder is made.
        paint: draws on matplotlib's axes.
        size: width and height, in inches of 120 dots.

    Raises:
        RunError: the file cannot be written.
    """
    draw_figure(path, lambda figure: paint(figure.add_subplot()), size)


def draw_figure(path: Path, paint: Callable[[Any], None], size: tuple[float, float]) -> None:
    """Draws a whole figure into a PNG file, which appears whole.

    Args:
        path: file to write; its folder is made.
        paint: draws on matplotlib's figure.
        size: width and height, in inches of 120 dots.

    Raises:
        RunError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(drawn)
    paint(drawn)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            drawn.savefig(part, dpi=120, format="png")
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
