"""Delivers to MLflow what a run, or a multirun, still has to deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from framework.engine.many.multirun import MULTIRUNS, multirun_lock
from framework.engine.run.folder import all_runs, find_run
from framework.engine.run.lock import RunLock
from framework.errors import GateworkError, InputError, RunError
from framework.files import expanded
from framework.tracking.address import shown
from framework.tracking.note import Note
from framework.tracking.outbox import MULTIRUN, Delivered, Outbox, is_tracked
from framework.tracking.written_passwords import take_out_passwords

PARITIES = ".parity"
"""Folder below that of all runs with a folder for each comparison of both backends."""

SLOWEST_ANSWER = 30.0
"""Seconds to wait for one answer of a server; a person who asks has more time than a run that ends."""


@dataclass(frozen=True)
class Synced:
    """What came of one run.

    Attributes:
        folder: its folder.
        uri: address of the store, without its password.
        run_id: the run's id there; None where it was never recorded.
        status: the run's status there.
        delivered: what was delivered now.
        trouble: why not everything was; None when all is there.
    """

    folder: Path
    uri: str
    run_id: str | None
    status: str | None
    delivered: Delivered
    trouble: str | None = None


def folders_to_sync(names: list[str], runs_dir: str) -> list[Path]:
    """The folders of the runs that are named, with the multiruns they are jobs of; of all runs where none is named.

    Raises:
        RunError: there is no such run.
    """
    if names:
        return list(dict.fromkeys(folder for name in names for folder in _named(name, runs_dir)))
    root = expanded(runs_dir).resolve()
    others = sorted(path.parent for pattern in (f"{MULTIRUNS}/*/{MULTIRUN}", f"{PARITIES}/*/run.json") for path in root.glob(pattern))
    return [*(run.path for run in all_runs(runs_dir)), *others]


def sync(folder: Path, uri: str | None = None, timeout: float = SLOWEST_ANSWER) -> Synced:
    """Delivers the rest of one run; of a run that was killed also that it was.

    Args:
        folder: the run's folder, or a multirun's.
        uri: address of the store, if it is not the one that the config names.
        timeout: seconds to wait for one answer of a server.

    Raises:
        RunError: the run is being trained now, by a process that delivers its records itself.
        InputError: MLflow is not installed.
    """
    from framework.tracking.installed import mlflow_is_installed

    if not mlflow_is_installed():
        raise InputError("MLflow is not installed: pip install 'gatework[mlflow]'")
    with _alone(folder), Outbox.lock(folder):
        take_out_passwords(folder)
        outbox = Outbox(folder, uri)
        if outbox.uri is None:
            raise RunError(f"no job of the multirun {folder} is recorded in MLflow; gatework sync without a name delivers its jobs first")
        outbox.settle()
        trouble = _deliver(outbox, timeout)
        return Synced(folder, shown(outbox.uri), outbox.note.get("run_id"), outbox.note.get("status"), outbox.delivered, trouble)


def deliver_now(folder: Path, what: str, warn: Callable[[str], None]) -> None:
    """Delivers what was written into a folder after its run had ended, if the run is tracked at all.

    Args:
        folder: the run's folder.
        what: was written, for the message.
        warn: told when MLflow does not take it.
    """
    from framework.tracking.installed import mlflow_is_installed

    if not (is_tracked(folder) and mlflow_is_installed()):
        return
    try:
        trouble = sync(folder).trouble
    except GateworkError as error:
        trouble = str(error)
    if trouble is not None:
        warn(f"MLflow does not have {what} yet ({trouble}): gatework sync {folder}")


def _deliver(outbox: Outbox, timeout: float) -> str | None:
    """Delivers for as long as something gets through; why it ended, or None when nothing is left."""
    from framework.tracking.deliver import first_line
    from framework.tracking.refusal import is_refusal

    store = None
    while True:
        before = outbox.accepted
        try:
            if store is None:
                opened = outbox.open_store(timeout)
                outbox.verify(opened)
                store = opened
            outbox.deliver(store)
            return None
        except Exception as error:  # whatever a store answers
            if outbox.accepted == before or is_refusal(error):
                return first_line(error)


def _named(name: str, runs_dir: str) -> Iterator[Path]:
    path = Path(name)
    if (path / MULTIRUN).is_file():
        yield path.resolve()
        return
    folder = find_run(name, runs_dir).path
    yield folder
    parent = Note(folder).get("parent")
    if parent is not None and (Path(parent) / MULTIRUN).is_file():
        yield Path(parent)


def _alone(folder: Path) -> AbstractContextManager[object]:
    """Nobody trains the run meanwhile."""
    return multirun_lock(folder) if (folder / MULTIRUN).is_file() else RunLock(folder)
