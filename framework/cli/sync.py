"""Deliver to MLflow what could not be delivered while a run trained: its server was away, or the run was killed.

gatework sync last
gatework sync                      # every run that has something left
gatework sync last --uri http://localhost:5000
"""

from __future__ import annotations

import argparse
from pathlib import Path

from framework.errors import EXIT_DONE, EXIT_FAILED, InputError, RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="run folder, its name, MLflow run id, or last; every run when not given")
    parser.add_argument("--uri", help="address of the tracking store; the one that the run's config names when not given")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="longest wait for one answer (%(default)s)")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.engine.many.sync import folders_to_sync
    from framework.tracking.outbox import is_tracked

    if arguments.timeout <= 0:
        raise InputError(f"--timeout is {arguments.timeout}; expected more than 0")
    folders = folders_to_sync(arguments.runs, arguments.runs_dir)
    if not folders:
        print(f"no runs below {Path(arguments.runs_dir).resolve()}")
    failed = False
    for folder in folders:
        if arguments.uri is None and not is_tracked(folder):
            if arguments.runs:
                raise InputError(f"run {folder} was trained with tracking=none; --uri ADDRESS records it all the same")
            continue
        failed |= not _sync(folder, arguments)
    return EXIT_FAILED if failed else EXIT_DONE


def _sync(folder: Path, arguments: argparse.Namespace) -> bool:
    """Delivers one run and says what came of it; whether all is there."""
    from framework.engine.many.sync import sync_alone
    from framework.tracking.address import without_password

    name = f"{folder.parent.name}/{folder.name}"
    try:
        done = sync_alone(folder, arguments.uri, arguments.timeout)
    except RunError as error:
        if arguments.runs:
            raise
        print(f"{name}: left alone; {error}")
        return True
    place = f"at {without_password(done.uri)}"
    where = f"run {done.run_id} {place}, {done.status}" if done.run_id else place
    what = ", ".join(_parts(done.delivered)) or "nothing"
    if done.trouble is not None:
        print(f"{name}: not everything could be delivered ({done.trouble}); delivered {what}; {where}")
        return False
    print(f"{name}: {f'delivered {what}' if done.delivered else 'nothing was left to deliver'}; {where}")
    return True


def _parts(delivered: object) -> list[str]:
    counts = [(getattr(delivered, name), name) for name in ("values", "parameters", "files")]
    parts = [f"{count} {name if count != 1 else name[:-1]}" for count, name in counts if count]
    parts += ["the model"] if getattr(delivered, "model", None) else []
    return parts + (["the end of the run"] if getattr(delivered, "status", None) else [])
