"""Loss curves as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.report.picture import draw

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (epoch, value) by name."""


def plot_curves(path: Path, curves: Curves, title: str, ylabel: str = "nats a token") -> None:
    """Draws curves into one PNG file.

    Args:
        path: file to write; its folder is made.
        curves: curves without points are left out.
        title: text above the picture.
        ylabel: what the values are, with their unit.

    Raises:
        RunError: the file cannot be written.
    """

    def paint(axes: Any) -> None:
        for name, points in curves.items():
            if points:
                epochs, values = zip(*points, strict=True)
                marker = "o" if len(points) <= 50 else ""
                axes.plot(epochs, values, label=name, marker=marker, markersize=4, linewidth=1.5, alpha=0.4 if marker == "" else 1.0)
        axes.legend()

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
