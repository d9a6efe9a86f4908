"""A multirun as one parent run in MLflow with a child for each job, whichever launcher runs them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from framework.config.compose import Composed
from framework.config.jobs import Job, JobOutcome
from framework.config.launch import RunJobs
from framework.config.search_space import Dimension
from framework.engine.many.listing import run_row
from framework.engine.many.search import OptunaSearch
from framework.engine.run.files import write_json, write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.links import refuse_links
from framework.errors import RunError
from framework.file_lock import MULTIRUN_LOCK, FileLock, file_lock
from framework.report.search import search_table
from framework.secrets import conceal, concealed
from framework.spec.search import SearchSpec
from framework.tracking.follow import deliver_end
from framework.tracking.outbox import LOCK, MULTIRUN, Outbox
from framework.tracking.sync import PARENT

MULTIRUNS = ".multirun"
"""Folder below that of all runs with a folder for each multirun."""

_HOW_MANY = ("hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs=", "hydra.launcher", "hydra/launcher=")
"""Overrides that make no other multirun, but tell how far it goes and where."""


Conclude = Callable[[Sequence[JobOutcome]], Sequence[str]]
"""What more a multirun's report says, as Markdown lines, of what its jobs came to."""


def record_multirun(
    runs_dir: Path,
    overrides: Sequence[str],
    job: Job,
    run_jobs: RunJobs,
    warn: Callable[[str], None],
    conclude: Conclude = lambda outcomes: (),
) -> list[JobOutcome]:
    """Runs the jobs of a multirun as children of one run; the same overrides again go on with the same one.

    The run is made in MLflow when the first job is delivered, where and as that job is tracked: a multirun without tracking has none.

    Args:
        runs_dir: folder of all runs.
        overrides: of the multirun, as typed.
        job: what is done with each config; a function at the top of a module.
        run_jobs: runs ``job`` for each config, or for those that a search chooses.
        warn: told when MLflow does not take the end of the multirun.
        conclude: further lines of its report.

    Raises:
        RunError: another process runs the same multirun now.
    """
    overrides = conceal(list(overrides))
    what = [one for one in overrides if not one.startswith(_HOW_MANY)]
    folder = runs_dir / MULTIRUNS / hashlib.sha256("\n".join(what).encode()).hexdigest()[:8]
    searches: list[OptunaSearch] = []

    def open_search(spec: SearchSpec, space: Sequence[Dimension]) -> OptunaSearch:
        searches.append(OptunaSearch(folder, spec, space))
        return searches[-1]

    with ExitStack() as after, multirun_lock(folder):
        record = _begin(folder, overrides)
        after.callback(deliver_end, folder, warn)  # once the lock is free
        try:
            outcomes = run_jobs(partial(_run_job, job, str(folder)), open_search)
        except BaseException as error:
            status = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
            _write_search(folder, searches)
            _end(folder, record, status, concealed(f"{type(error).__name__}: {error}"))
            raise
        if searches:
            _write_search(folder, searches)
        else:
            _write_summary(folder, outcomes, conclude(outcomes))
        failed = sum(outcome.message is not None for outcome in outcomes)
        why = f"{failed} of {len(outcomes)} jobs failed" if failed else None
        _end(folder, record, "failed" if failed else "finished", why)
        return outcomes


@contextmanager
def multirun_lock(folder: Path) -> Iterator[None]:
    """Held while a multirun's jobs run.

    Raises:
        RunError: another process holds it.
    """
    refuse_links(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror or error}") from error
    lock = FileLock(folder / MULTIRUN_LOCK)
    if not lock.acquire():
        raise RunError(f"this multirun is running already: another process holds {folder / MULTIRUN_LOCK}")
    try:
        yield
    finally:
        lock.release()


def _begin(folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    record = {
        "format": 1,
        "title": _title(overrides),
        "overrides": list(overrides),
        "started": time.time(),
        "status": "running",
    }
    with file_lock(folder / LOCK):
        write_json(folder / MULTIRUN, record)
        Outbox(folder).begin(None)
    return record


def _title(overrides: Sequence[str]) -> str:
    """What people see of a multirun in MLflow's list: what differs from job to job."""
    varied = [one for one in overrides if "," in one or "(" in one or one.startswith("sweep=")]
    return " ".join(["multirun", *(varied or overrides)])[:100]


def _run_job(job: Job, folder: str, composed: Composed) -> object:
    """One job, in whichever process its launcher runs it."""
    before = os.environ.get(PARENT)
    os.environ[PARENT] = folder
    try:
        return job(composed)
    finally:
        if before is None:
            del os.environ[PARENT]
        else:
            os.environ[PARENT] = before


def _end(folder: Path, record: Mapping[str, Any], status: str, error: str | None) -> None:
    write_json(folder / MULTIRUN, {**record, "status": status, "error": error, "ended": time.time()})


def _write_search(folder: Path, searches: Sequence[OptunaSearch]) -> None:
    """Writes a search's table and pictures, whole or not."""
    for search in searches:
        search.report()
        table = search_table(search.trials(), search.spec.metric, search.spec.direction)
        write_text(folder / "report.md", "\n".join(["# Search", "", *table]) + "\n")


def _write_summary(folder: Path, outcomes: Sequence[JobOutcome], further: Sequence[str]) -> None:
    """Writes ``jobs.json`` and, for people, ``report.md``."""
    jobs = [_summary(outcome) for outcome in outcomes]
    write_json(folder / "jobs.json", jobs)
    lines = ["| job | changed | run | status | epochs | loss | val_loss |", "|---|---|---|---|---|---|---|"]
    for job in jobs:
        losses = ["" if job.get(name) is None else f"{job[name]:.4f}" for name in ("loss", "val_loss")]
        changed = " ".join(f"`{one}`" for one in job["overrides"])
        lines.append(
            f"| {job['job']} | {changed} | {job.get('run', '')} | {job['status']} | {job.get('epochs', '')} | {' | '.join(losses)} |"
        )
    write_text(folder / "report.md", "\n".join(["# Multirun", "", *lines, *(["", *further] if further else [])]) + "\n")


def _summary(outcome: JobOutcome) -> dict[str, Any]:
    found: dict[str, Any] = {"job": outcome.number, "overrides": conceal(list(outcome.swept))}
    if outcome.message is not None:
        return {**found, "status": "failed", "error": outcome.message}
    value = outcome.value if isinstance(outcome.value, dict) else {}
    if "run" not in value:
        return {**found, "status": "finished"}
    row = run_row(RunFolder(Path(value["run"])))
    names = ("status", "epochs", "loss", "val_loss", "seconds", "mlflow_run")
    return {**found, "run": f"{row.recipe}/{row.name}", **{name: getattr(row, name) for name in names}}
