"""Removes checkpoints that nothing needs any more."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.folder import RunFolder, all_runs
from framework.engine.run.links import refuse_links
from framework.engine.run.lock import RunLock, in_use
from framework.errors import GateworkError, RunError
from framework.files import PART, entries_below

_WRITTEN_WITHIN = 3600.0
"""Seconds that a file may be in the making: whoever delivers from a run's folder writes there without the run's lock."""


@dataclass(frozen=True)
class Prunable:
    """Something that may go.

    Attributes:
        run: the run that it belongs to.
        path: the folder.
        why: why it is not needed.
        bytes: what removing it sets free.
    """

    run: RunFolder
    path: Path
    why: str
    bytes: int


def find_prunable(runs_dir: str = "runs", recipe: str | None = None) -> list[Prunable]:
    """What may go of all runs that no process trains now."""
    found: list[Prunable] = []
    for run in all_runs(runs_dir):
        if recipe in (None, run.recipe) and not in_use(run.path):
            with suppress(RunError, OSError):  # not a run of ours alone, or it cannot be looked into: nothing of it is touched
                refuse_links(run.path)
                found.extend(Prunable(run, path, why, _freed(path)) for path, why in _of_run(run))
    return found


def prune(found: list[Prunable]) -> int:
    """Removes what :func:`find_prunable` found, where it still may go; the bytes set free.

    Raises:
        RunError: something cannot be removed, or a run is in use.
    """
    freed = 0
    for one in found:
        with RunLock(one.run.path):  # nobody begins to train meanwhile
            if any(path == one.path for path, _ in _of_run(one.run)):
                try:
                    one.path.unlink() if one.path.is_file() else shutil.rmtree(one.path)
                except OSError as error:
                    raise RunError(f"cannot remove {one.path}: {error.strerror or error}") from error
                freed += one.bytes
    return freed


def _of_run(run: RunFolder) -> Iterator[tuple[Path, str]]:
    """What may go of one run.

    ``previous`` is there for the case that ``last`` is damaged; a finished run has its model as well. Folders that a kill left half
    written may go where the checkpoint that they were to become, or to replace, is there.
    """
    try:
        finished = run.read_record().get("status") == "finished"
    except GateworkError:
        return
    store = CheckpointStore(run.checkpoints)
    if finished and store.has("last") and store.has("previous") and run.model.is_dir():
        yield run.checkpoints / "previous", "the checkpoint before the last of a finished run"
    needed = {".new": "last", ".old": "last", ".best.new": "best", ".best.old": "best"}
    for name, checkpoint in needed.items():
        if (run.checkpoints / name).is_dir() and store.has(checkpoint):
            yield run.checkpoints / name, "left over from a kill"
    for entry in entries_below(run.path):
        if entry.name.startswith(PART) and time.time() - entry.stat(follow_symlinks=False).st_mtime > _WRITTEN_WITHIN:
            yield Path(entry.path), "left over from a kill"


def _freed(path: Path) -> int:
    """Bytes of a file, or of the files below a folder, that have no other name elsewhere."""
    links: dict[tuple[int, int], list[os.stat_result]] = {}
    for status in [path.lstat()] if path.is_file() else [entry.stat(follow_symlinks=False) for entry in entries_below(path)]:
        if stat.S_ISREG(status.st_mode):
            links.setdefault((status.st_dev, status.st_ino), []).append(status)
    return sum(same[0].st_size for same in links.values() if same[0].st_nlink <= len(same))
