"""Loss curves as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from framework.report.picture import draw

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (epoch, value) by name."""


_MANY = 6
"""Curves whose names are written small."""

_COLOURS = 10
"""Curves that matplotlib gives a colour each; the next ones are drawn in another style."""


def plot_curves(path: Path, curves: Curves, title: str, ylabel: str = "nats a token", *, faint: bool = True) -> None:
    """Draws curves into one PNG file.

    Args:
        path: file to write; its folder is made.
        curves: curves without points are left out.
        title: text above the picture.
        ylabel: what the values are, with their unit.
        faint: whether a curve of many points lets those below it shine through.

    Raises:
        RunError: the file cannot be written.
    """
    styles = (style for style in cycle(("-", "--", "-.", ":")) for _ in range(_COLOURS))

    def paint(axes: Any) -> None:
        for name, points in curves.items():
            if points:
                epochs, values = zip(*points, strict=True)
                marker = "o" if len(points) <= 50 else ""
                alpha = 0.4 if marker == "" and faint else 1.0
                axes.plot(epochs, values, next(styles), label=name, marker=marker, markersize=4, linewidth=1.5, alpha=alpha)
        axes.legend(fontsize="medium" if len(curves) < _MANY else "x-small")
        if all(epoch == int(epoch) for points in curves.values() for epoch, _ in points):
            axes.xaxis.get_major_locator().set_params(integer=True)

    _draw(path, paint, title, ylabel)


def plot_beside(path: Path, ours: Curves, published: Curves, title: str, ylabel: str = "nats a token") -> None:
    """Draws our curves over published ones into one PNG file.

    Args:
        path: file to write; its folder is made.
        ours: curves without points are left out.
        published: drawn grey and broken.
        title: text above the picture.
        ylabel: what the values are, with their unit.

    Raises:
        RunError: the file cannot be written.
    """

    def paint(axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        for place, (name, points) in enumerate(published.items()):
            shade = str(0.35 + 0.5 * place / len(published))
            axes.plot(*zip(*points, strict=True), "s--", color=shade, markersize=4, linewidth=1.2, label=f"published: {name}")
        for name, points in ours.items():
            if points:
                axes.plot(*zip(*points, strict=True), "o-", markersize=4, linewidth=1.6, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8)

    _draw(path, paint, title, ylabel)


def _draw(path: Path, paint: Callable[[Any], None], title: str, ylabel: str) -> None:
    def labelled(axes: Any) -> None:
        axes.set(xlabel="epoch", ylabel=ylabel, title=title)
        axes.grid(alpha=0.3)
        paint(axes)

    draw(path, labelled)
