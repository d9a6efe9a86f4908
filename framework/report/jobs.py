"""What many runs came to: a table of the jobs of a multirun or a search, the best one, and what to do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.report.changed import changed_text
from framework.report.progress import duration
from framework.report.tables import print_table

FINISHED = "finished"

_SHOWN = 40
"""Rows that are printed; all of them stand in the report."""


@dataclass(frozen=True)
class JobRow:
    """One job.

    Attributes:
        job: its number, from 0.
        overrides: what set it apart, as a user would write it.
        changed: the same by key.
        status: of its run, such as ``finished``, ``pruned`` or ``failed``; ``unfinished`` for a trial that was interrupted.
        run: ``<recipe>/<name>``; None where it came to no run.
        path: the run's folder.
        epochs: epochs done.
        loss: mean training loss of the latest epoch, in nats a token.
        val_loss: validation loss of the latest validation, in nats a token.
        value: the best epoch's figure by which jobs are compared.
        at_epoch: that epoch.
        figures: everything that it measured, by name.
        seconds: time in training.
        mlflow_run: id of its MLflow run.
        error: why it failed.
    """

    job: int
    overrides: Sequence[str]
    changed: Mapping[str, str] = field(default_factory=dict)
    status: str = FINISHED
    run: str | None = None
    path: str | None = None
    epochs: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    value: float | None = None
    at_epoch: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    mlflow_run: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What is kept of it in ``jobs.json``; the run's folder is found by its name."""
        left_out = ("changed", "path")
        return {key: value for key, value in vars(self).items() if key not in left_out and value is not None}


@dataclass(frozen=True)
class Jobs:
    """All jobs of a multirun or a search.

    Attributes:
        rows: the jobs, by number.
        metric: the figure by which they are compared, as an epoch records it.
        highest: whether its highest is the best.
        search: whether a search chose them.
    """

    rows: Sequence[JobRow]
    metric: str = "loss"
    highest: bool = False
    search: bool = False

    @property
    def unit(self) -> str:
        """``job`` or ``trial``."""
        return "trial" if self.search else "job"

    @property
    def ranked(self) -> list[JobRow]:
        """The finished ones first, of these the best first; of equals the first."""
        sign = -1 if self.highest else 1
        return sorted(self.rows, key=lambda row: (not _counts(row), sign * (row.value or 0.0) if _counts(row) else 0.0, row.job))

    @property
    def best(self) -> JobRow | None:
        """The best of the finished ones."""
        return next((row for row in self.ranked if _counts(row)), None)

    @property
    def by_status(self) -> dict[str, int]:
        """How many jobs ended in each way."""
        return dict(Counter(row.status for row in self.rows))

    @property
    def tally(self) -> str:
        """``4 jobs: 3 finished, 1 failed``."""
        ordered = sorted(self.by_status.items(), key=lambda one: (one[0] != FINISHED, one))
        counts = ", ".join(f"{count} {status}" for status, count in ordered)
        return f"{len(self.rows)} {self.unit}{'' if len(self.rows) == 1 else 's'}{f': {counts}' if counts else ''}"

    @property
    def best_text(self) -> str | None:
        """``job 2, units=16: loss 2.1234 at epoch 3``; None where no job has finished."""
        best = self.best
        if best is None or best.value is None:
            return None
        changed = changed_text(best.changed)
        when = f" at epoch {best.at_epoch}" if best.at_epoch is not None else ""
        return f"{self.unit} {best.job}{f', {changed}' if changed else ''}: {self.metric} {best.value:.4f}{when}"


def print_jobs(jobs: Jobs) -> None:
    """Prints the table, the best first."""
    ranked = jobs.ranked
    several = len({row.run.partition("/")[0] for row in ranked if row.run}) > 1
    titles = (jobs.unit, "what differs", jobs.metric, "time", "status", "run")
    cells = [_cells(row, changed_text(row.changed), row.run if several else (row.run or "").rpartition("/")[2]) for row in ranked[:_SHOWN]]
    print_table(titles, cells, whole=("status",), numbers=(jobs.unit, jobs.metric, "time"))
    if len(ranked) > _SHOWN:
        print(f"… and {len(ranked) - _SHOWN} more in the report")


def jobs_markdown(jobs: Jobs, further: Sequence[str] = ()) -> str:
    """The report of a multirun or a search, the best first.

    Args:
        jobs: all of them.
        further: more lines.
    """
    best, name = jobs.best, jobs.unit
    lines = [f"# {'Search' if jobs.search else 'Multirun'}", "", f"{jobs.tally}.", ""]
    if best is not None and jobs.best_text is not None:
        lines += [f"Best: {jobs.best_text}; run `{best.run}`.", ""]
    lines += [f"| {name} | changed | {jobs.metric} | time | status | run | epochs |", "|---" * 7 + "|"]
    for row in jobs.ranked:
        changed = " ".join(f"`{word}`" for word in row.overrides)
        epochs = "" if row.epochs is None else str(row.epochs)
        lines.append(f"| {' | '.join([*_cells(row, changed, row.run), epochs])} |")
    failed = [row for row in jobs.rows if row.error]
    if failed:
        lines += ["", *(f"- {name} {row.job} failed: {_in_a_line(row.error or '')}" for row in failed)]
    return "\n".join([*lines, *(["", *further] if further else [])]) + "\n"


def _in_a_line(error: str) -> str:
    """What a message says first, and a traceback last."""
    lines = error.strip().splitlines() or [""]
    return lines[-1 if lines[0].startswith("Traceback") else 0]


def _counts(row: JobRow) -> bool:
    return row.status == FINISHED and row.value is not None


def _cells(row: JobRow, changed: str, run: str | None) -> list[str]:
    value = "" if row.value is None else f"{row.value:.4f}"
    return [str(row.job), changed, value, "" if row.seconds is None else duration(row.seconds), row.status, run or ""]
