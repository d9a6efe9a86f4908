"""What the jobs of a multirun, or the trials of a search, came to; kept in the multirun's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.config.jobs import JobOutcome
from framework.engine.many.judged import judged_by, reached
from framework.engine.many.listing import epoch_records, run_row
from framework.engine.run.files import read_json, write_json, write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.recorder import EPOCH, Recorder, read_records
from framework.errors import GateworkError, RunError
from framework.report.changed import changed_of
from framework.report.jobs import FINISHED, JobRow, Jobs, jobs_markdown
from framework.report.search import SearchTrial
from framework.secrets import conceal
from framework.tasks.monitored import AUTO, Monitored

if TYPE_CHECKING:
    from framework.spec.search import SearchSpec

JOBS = "jobs.json"
TRIALS = "trials.json"
METRICS = "metrics.jsonl"

_COUNTS = "jobs/"
_STATES = {"complete": FINISHED, "pruned": "pruned", "fail": "failed"}


def jobs_of_outcomes(outcomes: Sequence[JobOutcome]) -> Jobs:
    """The jobs of a multirun, compared by what all of them chose their best epoch by."""
    rows = [_of_outcome(outcome) for outcome in outcomes]
    by = judged_by([RunFolder(Path(row.path)) for row in rows if row.path and row.status == FINISHED])
    return Jobs([_with_value(row, by) for row in rows], by.name, by.highest)


def jobs_of_search(folder: Path, trials: Sequence[SearchTrial], spec: SearchSpec) -> Jobs:
    """The trials of a search, compared by what it sought for.

    Args:
        folder: of the search.
        trials: all of them.
        spec: its settings.
    """
    rows = [_of_trial(folder, trial) for trial in trials]
    name = spec.metric.removeprefix(EPOCH)
    if name == AUTO:
        name = "val_loss" if any(row.val_loss is not None for row in rows) else "loss"
    by = Monitored(name, highest=spec.direction == "maximize")
    found = [_with_value(row, by) for row in rows]
    told = [row if trial.value is None else replace(row, value=trial.value) for row, trial in zip(found, trials, strict=True)]
    return Jobs(told, by.name, by.highest, search=True)


def write_jobs(folder: Path, jobs: Jobs, further: Sequence[str] = ()) -> None:
    """Writes ``jobs.json``, ``report.md`` and, for MLflow, the figures in ``metrics.jsonl``.

    Args:
        folder: of the multirun.
        jobs: what they came to.
        further: more lines of the report.
    """
    write_json(folder / JOBS, [row.as_json() for row in jobs.rows])
    write_text(folder / "report.md", jobs_markdown(jobs, further))
    _record(folder / METRICS, _figures(jobs))


def runs_of_multirun(folder: Path) -> list[RunFolder]:
    """The runs of a multirun's jobs, in their order; those that are gone are left out.

    Raises:
        RunError: what it keeps of its jobs is damaged.
    """
    found = []
    for name in (JOBS, TRIALS):
        kept = read_json(folder / name)
        if kept is not None and not (isinstance(kept, list) and all(isinstance(one, dict) for one in kept)):
            raise RunError(f"{folder / name} is damaged: it holds no list of jobs")
        found += [_run_of(folder, one["run"]) for one in kept or () if isinstance(one.get("run"), str)]
    return [run for run in dict.fromkeys(found) if run.exists()]


def _of_outcome(outcome: JobOutcome) -> JobRow:
    words = conceal(list(outcome.swept))
    row = JobRow(outcome.number, words, changed_of(words))
    if outcome.message is not None:
        return replace(row, status="failed", error=outcome.message)
    value = outcome.value if isinstance(outcome.value, dict) else {}
    return _of_run(row, RunFolder(Path(value["run"]))) if "run" in value else row


def _of_trial(folder: Path, trial: SearchTrial) -> JobRow:
    changed = conceal(dict(trial.values))
    row = JobRow(trial.number, [f"{key}={value}" for key, value in changed.items()], changed)
    if trial.run is not None:
        row = _of_run(row, _run_of(folder, trial.run))
    return replace(row, status=_STATES.get(trial.state, "unfinished"), error=trial.error)


def _of_run(row: JobRow, run: RunFolder) -> JobRow:
    found: dict[str, Any] = vars(run_row(run))
    names = ("status", "epochs", "loss", "val_loss", "seconds", "mlflow_run", "path")
    return replace(row, run=f"{run.recipe}/{run.name}", **{name: found[name] for name in names})


def _run_of(folder: Path, run: str) -> RunFolder:
    """A run by its path or name; of a project that was moved, where its multirun is now."""
    path = Path(run)
    return RunFolder(path if path.is_absolute() and path.is_dir() else folder.parents[1].joinpath(*path.parts[-2:]))


def _with_value(row: JobRow, by: Monitored) -> JobRow:
    if row.path is None:
        return row
    try:
        best = reached(epoch_records(RunFolder(Path(row.path)).metrics), by)
    except GateworkError:
        return row
    return row if best is None else replace(row, value=best.value, at_epoch=best.epoch, figures=best.figures)


def _figures(jobs: Jobs) -> dict[str, float]:
    """How many jobs ended in which way, and what the best one measured in its best epoch."""
    found = {f"{_COUNTS}{status}": float(count) for status, count in jobs.by_status.items()}
    found[f"{_COUNTS}all"] = float(len(jobs.rows))
    best = jobs.best
    if best is not None:
        measured = {**best.figures, jobs.metric: best.value, "job": best.job, "epoch": best.at_epoch, "seconds": best.seconds}
        found |= {f"best/{name}": float(value) for name, value in measured.items() if value is not None}
    return found


def _record(path: Path, values: dict[str, float]) -> None:
    """Adds what is new; of a multirun that came to the same once more, nothing."""
    before = list(read_records(path))
    if before:  # of the jobs that failed then, none may fail now
        values = {**{name: 0.0 for name in before[-1].values if name.startswith(_COUNTS)}, **values}
        if before[-1].values == values:
            return
    recorder = Recorder(path)
    recorder.record(len(before), float(len(before)), values)
    recorder.close()
