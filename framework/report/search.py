"""A search's trials as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.report.picture import draw


@dataclass(frozen=True)
class SearchTrial:
    """One trial of a search.

    Attributes:
        number: position in the search, from 0.
        values: what was chosen, by key.
        state: ``complete``, ``pruned``, ``fail`` or ``running``.
        value: best value of the metric; None unless complete.
        epochs: epochs that it told the pruner of.
        run: folder of its run.
        error: why it failed.
    """

    number: int
    values: Mapping[str, str]
    state: str
    value: float | None = None
    epochs: int = 0
    run: str | None = None
    error: str | None = None


def plot_search(folder: Path, trials: Sequence[SearchTrial], importances: Mapping[str, float], metric: str, direction: str) -> None:
    """Draws ``history.png``, ``parallel.png`` and, where they are known, ``importance.png``.

    Args:
        folder: made if it is missing.
        trials: all trials.
        importances: share of each setting in how much the value varies.
        metric: name of the value.
        direction: ``minimize`` or ``maximize``.

    Raises:
        RunError: a file cannot be written.
    """
    done = [trial for trial in trials if trial.value is not None]
    if not done:
        return
    label = "loss" if metric == "auto" else metric
    draw(folder / "history.png", lambda axes: _history(axes, done, label, direction))
    draw(folder / "parallel.png", lambda axes: _parallel(axes, done, label))
    if importances:
        draw(folder / "importance.png", lambda axes: _importance(axes, importances, label))


def _history(axes: Any, done: Sequence[SearchTrial], label: str, direction: str) -> None:
    numbers, values = [trial.number for trial in done], [trial.value or 0.0 for trial in done]
    better = min if direction == "minimize" else max
    so_far = [better(values[: place + 1]) for place in range(len(values))]
    axes.plot(numbers, values, "o", label="trial")
    axes.step(numbers, so_far, where="post", label="best so far")
    axes.set(xlabel="trial", ylabel=label, title="history of the search")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()


def _importance(axes: Any, importances: Mapping[str, float], label: str) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names])
    axes.set(xlabel="share of importance", title=f"what moves {label}")


def _parallel(axes: Any, done: Sequence[SearchTrial], label: str) -> None:
    """Every trial is a line from setting to setting, each on its own scale, to its value; the colour is the value."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    names = list(dict.fromkeys(name for trial in done for name in trial.values))
    columns = [[trial.values.get(name, "") for trial in done] for name in names]
    heights = [_heights(column) for column in columns]
    results = [trial.value or 0.0 for trial in done]
    heights.append(_heights([str(value) for value in results]))
    scale, colours = Normalize(min(results), max(results)), colormaps["viridis"]
    for place, value in enumerate(results):
        axes.plot([column[place] for column in heights], color=colours(scale(value)), alpha=0.8)
    for place, column in enumerate(columns):
        ends = {height: text for height, text in zip(heights[place], column, strict=True) if height in (0.0, 1.0)}
        for height, text in ends.items():
            axes.annotate(text, (place, height), textcoords="offset points", xytext=(4, 3), fontsize=8)
    axes.set_xticks(range(len(names) + 1), [*(name.rpartition(".")[2] for name in names), label])
    axes.set_yticks([])
    axes.set_title("settings and what they gave")
    axes.figure.colorbar(_mappable(scale, colours), ax=axes, label=label)


def _mappable(scale: Any, colours: Any) -> Any:
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(scale, colours)


def _heights(column: Sequence[str]) -> list[float]:
    """Places from 0 to 1: numbers by size, texts by their order."""
    try:
        numbers = [float(text) for text in column]
    except ValueError:
        order = {text: place for place, text in enumerate(sorted(set(column)))}
        numbers = [float(order[text]) for text in column]
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) if high > low else 0.5 for number in numbers]
