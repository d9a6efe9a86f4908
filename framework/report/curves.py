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


def plot_beside(
    path: Path,
    ours: Mapping[str, Sequence[tuple[float, float]]],
    published: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    ylabel: str = "nats a token",
) -> None:
    """Draws our curves over published ones into one PNG file.

    Args:
        path: file to write; its folder is made.
        ours: points (epoch, value) by name.
        published: likewise; drawn grey and broken.
        title: text above the picture.
        ylabel: what the values are, with their unit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (name, points) in enumerate(published.items()):
        shade = str(0.35 + 0.5 * place / max(len(published), 1))
        axes.plot(*zip(*points, strict=True), "s--", color=shade, markersize=4, linewidth=1.2, label=f"published: {name}")
    for name, points in ours.items():
        if points:
            axes.plot(*zip(*points, strict=True), "o-", markersize=4, linewidth=1.6, label=name)
    axes.set(xlabel="epoch", ylabel=ylabel, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
