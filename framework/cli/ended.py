"""What a person is told once many runs have ended: the table, the best one and how to use it, where everything lies."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from framework.config.location import display, typed_path
from framework.console import typed_command

if TYPE_CHECKING:
    from framework.report.jobs import Jobs


def tell_end(folder: Path, jobs: Jobs) -> None:
    """Prints what the jobs of a multirun came to.

    Args:
        folder: of the multirun.
        jobs: what they came to.
    """
    from framework.report.jobs import print_jobs
    from framework.secrets import concealed

    print()
    if jobs.rows:
        print_jobs(jobs)
        print()
    for line in end_lines(folder, jobs):
        print(concealed(line))


def end_lines(folder: Path, jobs: Jobs) -> Iterator[str]:
    """Under the table: how many ended in which way, the best one with the commands to use it, report, pictures and MLflow's run."""
    yield jobs.tally
    from framework.cli.next_steps import use_of
    from framework.engine.run.folder import RunFolder

    best, command = jobs.best, typed_command()
    if best is not None and best.path is not None:
        run = typed_path(Path(best.path))
        yield f"best: {jobs.best_text}"
        yield f"    run      {run}"
        yield f"    use      {command} {use_of(RunFolder(Path(best.path))).format(run=run)}"
        yield f"    measure  {command} evaluate {run}"
    else:
        yield "best: none has finished"
    if len({row.run for row in jobs.rows if row.run}) > 1:
        yield f"compare: {command} compare {typed_path(folder)}"
    yield f"report: {display(folder / 'report.md')}"
    plots = sorted(path.name for path in (folder / "plots").glob("*.png"))
    if plots:
        yield f"plots: {display(folder / 'plots')} ({', '.join(plots)})"
    yield from _in_mlflow(folder)


def _in_mlflow(folder: Path) -> Iterator[str]:
    from framework.tracking.address import without_password
    from framework.tracking.note import Note

    note = Note(folder)
    run, uri = note.get("run_id"), note.get("uri")
    if run is None or uri is None:
        return
    uri = without_password(uri)
    if uri.startswith(("http://", "https://")):
        yield f"MLflow: {uri.rstrip('/')}/#/experiments/{note.get('experiment_id')}/runs/{run}"
    else:
        yield f"MLflow: run {run}; to look at it: {_python()} -m mlflow ui --backend-store-uri {shlex.quote(uri)}"


def _python() -> str:
    """This environment's Python as one types it: MLflow's own command is not found where the environment is not activated."""
    return typed_path(Path(sys.executable))
