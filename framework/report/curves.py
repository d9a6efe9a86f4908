"""Loss curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def plot_curves(path: Path, curves: Mapping[str, Sequence[tuple[float, float]]], title: str, ylabel: str = "nats a token") -> None:
    """Draws curves into one PNG file.

    Args:
        path: file to write; its folder is made.
        curves: points (epoch, value) by name; curves without points are left out.
        title: text above the picture.
        ylabel: what the values are, with their unit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, points in curves.items():
        if points:
            epochs, values = zip(*points, strict=True)
            marker = "o" if len(points) <= 50 else ""
            axes.plot(epochs, values, label=name, marker=marker, markersize=4, linewidth=1.5, alpha=0.4 if marker == "" else 1.0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
