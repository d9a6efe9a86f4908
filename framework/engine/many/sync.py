"""Which folders are brought to MLflow when somebody asks, and that nobody trains them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from framework.engine.many.multirun import MULTIRUNS, multirun_lock
from framework.engine.run.folder import all_runs, find_run
from framework.engine.run.lock import RunLock
from framework.errors import GateworkError
from framework.files import expanded
from framework.tracking.note import Note
from framework.tracking.outbox import MULTIRUN, is_tracked
from framework.tracking.store import mlflow_is_installed
from framework.tracking.sync import Synced, sync

PARITIES = ".parity"
"""Folder below that of all runs with a folder for each comparison of both backends."""

SLOWEST_ANSWER = 30.0
"""Seconds to wait for one answer of a server; a person who asks has more time than a run that ends."""


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


def sync_alone(folder: Path, uri: str | None = None, timeout: float = SLOWEST_ANSWER) -> Synced:
    """Delivers the rest of one run that nobody trains; of a run that was killed also that it was.

    Args:
        folder: the run's folder, or a multirun's.
        uri: address of the store, if it is not the one that the config names.
        timeout: seconds to wait for one answer of a server.

    Raises:
        RunError: the run is being trained now, and followed by a process that delivers its records.
        InputError: MLflow is not installed.
    """
    with multirun_lock(folder) if (folder / MULTIRUN).is_file() else RunLock(folder):
        return sync(folder, uri, timeout)


def deliver_now(folder: Path, what: str, warn: Callable[[str], None]) -> None:
    """Delivers what was written into a folder after its run had ended, if the run is tracked at all.

    Args:
        folder: the run's folder.
        what: was written, for the message.
        warn: told when MLflow does not take it.
    """
    if not (is_tracked(folder) and mlflow_is_installed()):
        return
    try:
        trouble = sync_alone(folder).trouble
    except GateworkError as error:
        trouble = str(error)
    if trouble is not None:
        warn(f"MLflow does not have {what} yet ({trouble}): gatework sync {folder}")


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
