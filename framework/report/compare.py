"""Several runs beside one another, on a terminal, as JSON and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from framework.report.changed import changed_text, shown_value
from framework.report.curves import Curves, plot_curves
from framework.report.figures import figure
from framework.report.jobs import FINISHED
from framework.report.progress import duration
from framework.report.runs import NOT_SET, RunRow
from framework.report.tables import print_table, table_width

_LONGEST_KEY = 34
_MOST_SETTINGS = 40
"""Rows of settings that are printed; runs of different recipes may differ in more."""

_NAME, _DIFFERENCES = 24, 30
"""Columns that a name and what differs have at least, where there are more figures than room."""

_WORKING = ("tokens", "tokens_per_second", "seconds")
"""What an epoch records of the work, not of the model."""


@dataclass(frozen=True)
class Compared:
    """One of the runs.

    Attributes:
        row: as it stands in the list of runs, with the settings in which these runs differ.
        final: what its latest epoch measured, by name.
        best: the best epoch's figure by which the runs are compared.
        best_epoch: that epoch.
        parameters: of the model.
        curves: points (epoch, value) by name.
    """

    row: RunRow
    final: Mapping[str, float]
    best: float | None
    best_epoch: int | None
    parameters: int | None
    curves: Curves


@dataclass(frozen=True)
class Comparison:
    """Runs that are compared.

    Attributes:
        runs: in the order in which they were named.
        metric: the figure by which they are compared, as an epoch records it.
        highest: whether its highest is the best.
    """

    runs: Sequence[Compared]
    metric: str
    highest: bool = False

    @property
    def best(self) -> Compared | None:
        """The best of those that have the figure; what was pruned or failed counts too, for it is what its curve shows."""
        sign = -1 if self.highest else 1
        return min((one for one in self.runs if one.best is not None), key=lambda one: sign * (one.best or 0.0), default=None)

    @property
    def names(self) -> list[str]:
        """What the runs are called: their names, with the recipe where there are several."""
        several = len({one.row.recipe for one in self.runs}) > 1
        return [f"{one.row.recipe}/{one.row.name}" if several else one.row.name for one in self.runs]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        runs = [{**asdict(one.row), "final": dict(one.final), "best": one.best, "best_epoch": one.best_epoch} for one in self.runs]
        for one, compared in zip(runs, self.runs, strict=True):
            one["parameters"] = compared.parameters
            one["curves"] = {name: [list(point) for point in points] for name, points in compared.curves.items()}
        best = self.best
        return {"metric": self.metric, "highest_is_best": self.highest, "best": best and f"{best.row.recipe}/{best.row.name}", "runs": runs}


def print_comparison(found: Comparison) -> None:
    """Prints the settings that differ and the figures: a column for each run where they fit, else a row for each."""
    settings, figures = _settings(found), _figures(found)
    columns = zip(["", *found.names], *settings, *figures, strict=True)
    if sum(max(map(len, column)) + 2 for column in columns) <= table_width():
        print_table(["settings that differ", *found.names], settings or [["none", *("" for _ in found.runs)]], whole=found.names)
        print()
        print_table(["figures", *found.names], figures, whole=found.names)
    else:
        _print_in_rows(found, figures)
    print()
    best = found.best
    if best is not None and best.best is not None:
        print(f"best: {best.row.recipe}/{best.row.name}: {found.metric} {best.best:.4f} at epoch {best.best_epoch}")
    for one in found.runs:
        if one.row.status != FINISHED:
            print(f"note: {one.row.recipe}/{one.row.name} is {one.row.status}: its figures are those of {_so_far(one)}")
    if len({one.row.recipe for one in found.runs}) > 1:
        print("note: these runs are of several recipes; figures of different data cannot be compared")


def _print_in_rows(found: Comparison, figures: Sequence[Sequence[str]]) -> None:
    """As many figures as there is room for beside what differs."""
    titles, rows = ["run", "what differs"], [[name, ""] for name in found.names]
    for row, one in zip(rows, found.runs, strict=True):
        row[1] = changed_text({key: value for key, value in one.row.differs.items() if value != NOT_SET})
    room = table_width() - min(_NAME, max(map(len, found.names))) - min(_DIFFERENCES, max(len(row[1]) for row in rows)) - 1
    left_out = 0
    for title, *cells in sorted(figures, key=lambda one: not one[0].startswith("best ")):
        needed = max(map(len, [title, *cells])) + 1
        if needed > room and not title.startswith("best "):
            left_out += 1
            continue
        room -= needed
        titles.append(title)
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    print_table(titles, rows, whole=titles[2:])
    if left_out:
        print(f"({left_out} more figures: on a wider terminal, or with --json)")


def plot_comparison(path: Path, found: Comparison) -> None:
    """Draws the runs' curves of the figure by which they are compared over one another.

    Raises:
        RunError: the file cannot be written.
    """
    unit = "nats a token" if found.metric.endswith("loss") else found.metric
    curves = {name: one.curves.get(found.metric, ()) for name, one in zip(_labels(found), found.runs, strict=True)}
    plot_curves(path, curves, f"{found.metric} of {len(found.runs)} runs", unit, faint=False)


def _labels(found: Comparison) -> list[str]:
    """A curve's name: what sets its run apart where that is short, and the run's name."""
    labels = []
    for name, one in zip(found.names, found.runs, strict=True):
        changed = changed_text({key: value for key, value in one.row.differs.items() if value != NOT_SET})
        labels.append(f"{changed} ({name})" if changed and len(changed) <= 60 else name)
    return labels


def _settings(found: Comparison) -> list[list[str]]:
    keys = list(dict.fromkeys(key for one in found.runs for key in one.row.differs))
    rows = []
    for key in keys[:_MOST_SETTINGS]:
        values = [one.row.differs.get(key, NOT_SET) for one in found.runs]
        rows.append([_ended(key), *("-" if value == NOT_SET else shown_value(value) for value in values)])
    if len(keys) > _MOST_SETTINGS:
        rows.append([f"… {len(keys) - _MOST_SETTINGS} more: --json", *("" for _ in found.runs)])
    return rows


def _ended(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else f"…{key[1 - _LONGEST_KEY :]}"


def _figures(found: Comparison) -> list[list[str]]:
    rows = [
        ["status", *(one.row.status for one in found.runs)],
        ["epochs", *(f"{one.row.epochs}/{one.row.max_epochs}" if one.row.max_epochs else str(one.row.epochs) for one in found.runs)],
        ["parameters", *("" if one.parameters is None else f"{one.parameters:,}" for one in found.runs)],
        ["time", *(duration(one.row.seconds) for one in found.runs)],
        [f"best {found.metric}", *("" if one.best is None else f"{one.best:.4f} at {one.best_epoch}" for one in found.runs)],
    ]
    names = dict.fromkeys(name for one in found.runs for name in one.final if name not in _WORKING)
    rows += [[name, *(figure(one.final[name]) if name in one.final else "" for one in found.runs)] for name in names]
    return rows


def _so_far(one: Compared) -> str:
    return f"epoch {one.row.epochs}" if one.final else "no epoch: it has none yet"
