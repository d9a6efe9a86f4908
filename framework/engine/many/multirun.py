"""A multirun as one parent run in MLflow with a child for each job, whichever launcher runs them."""

from __future__ import annotations

import hashlib
import os
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from framework.config.compose import Composed
from framework.config.jobs import Job, JobOutcome
from framework.config.launch import RunJobs
from framework.config.search_space import Dimension
from framework.engine.many.jobs import jobs_of_outcomes, jobs_of_search, write_jobs
from framework.engine.many.search import OptunaSearch
from framework.engine.run.files import write_json
from framework.engine.run.links import refuse_links
from framework.errors import RunError
from framework.file_lock import MULTIRUN_LOCK, FileLock, file_lock
from framework.report.changed import changed_of, changed_text
from framework.report.jobs import Jobs
from framework.secrets import conceal, concealed
from framework.spec.run_files import MultirunRecord, read_file
from framework.spec.search import SearchSpec
from framework.tracking.follow import deliver_end
from framework.tracking.outbox import LOCK, MULTIRUN, Outbox
from framework.tracking.settings import KEY_LENGTH
from framework.tracking.sync import PARENT

MULTIRUNS = ".multirun"
"""Folder below that of all runs with a folder for each multirun."""

_HOW_MANY = ("hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs=", "hydra.launcher", "hydra/launcher=")
"""Overrides that make no other multirun, but tell how far it goes and where."""


Conclude = Callable[[Sequence[JobOutcome]], Sequence[str]]
"""What more a multirun's report says, as Markdown lines, of what its jobs came to."""

Told = Callable[[Path, Jobs], None]
"""Told a multirun's folder and what its jobs came to."""


def record_multirun(
    runs_dir: Path,
    overrides: Sequence[str],
    job: Job,
    run_jobs: RunJobs,
    warn: Callable[[str], None],
    conclude: Conclude = lambda outcomes: (),
    told: Told = lambda folder, jobs: None,
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
        told: what its jobs came to, once all have ended and MLflow has been told.

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
            for search in searches:
                _write_search(folder, search)
            _end(folder, record, status, concealed(f"{type(error).__name__}: {error}"))
            raise
        jobs = _write_search(folder, searches[-1]) if searches else jobs_of_outcomes(outcomes)
        if not searches:
            write_jobs(folder, jobs, conclude(outcomes))
        failed = jobs.by_status.get("failed", 0)
        why = f"{failed} of {len(jobs.rows)} jobs failed" if failed else None
        _end(folder, {**record, "jobs": jobs.by_status, "best": jobs.best and jobs.best.run}, "finished", why)
    told(folder, jobs)
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
        "started": _first_start(folder),
        "status": "running",
    }
    with file_lock(folder / LOCK):
        write_json(folder / MULTIRUN, record)
        Outbox(folder).begin(None)
    return record


def _first_start(folder: Path) -> float:
    with suppress(RunError):  # damaged; it is written anew
        return float(read_file(folder / MULTIRUN, MultirunRecord).get("started", time.time()))
    return time.time()


def _title(overrides: Sequence[str]) -> str:
    """What people see of a multirun in MLflow's list: what differs from job to job, by the ends of the keys where they take too much."""
    varied = [one for one in overrides if "," in one or "(" in one or one.startswith("sweep=")]
    whole = " ".join(["multirun", *(varied or overrides)])
    if len(whole) <= KEY_LENGTH:
        return whole
    return textwrap.shorten(f"multirun {changed_text(changed_of(varied or overrides))}", KEY_LENGTH, placeholder=" …")


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


def _write_search(folder: Path, search: OptunaSearch) -> Jobs:
    """Writes a search's trials, table and pictures, whole or not."""
    search.report()
    jobs = jobs_of_search(folder, search.trials(), search.spec)
    write_jobs(folder, jobs)
    return jobs
