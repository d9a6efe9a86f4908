"""Every run with what it came to, read from the run folders alone."""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from framework.engine.run.digest import NOT_PART_OF_A_RUN, leaves
from framework.engine.run.folder import RunFolder, all_runs
from framework.engine.run.lock import in_use
from framework.engine.run.recorder import Record, read_records
from framework.errors import GateworkError
from framework.files import entries_below
from framework.report.runs import NOT_SET, RunRow
from framework.spec.run_files import TrackingRecord, read_file
from framework.tracking.note import NOTE

Found = TypeVar("Found")


def list_runs(runs_dir: str = "runs", recipe: str | None = None) -> list[RunRow]:
    """Every run below ``runs_dir``, or those of one recipe; by recipe, the oldest first."""
    folders = [folder for folder in all_runs(runs_dir) if recipe in (None, folder.recipe)]
    settings = {folder.path: settings_of(folder) for folder in folders}
    rows = []
    for name in dict.fromkeys(folder.recipe for folder in folders):
        together = [folder for folder in folders if folder.recipe == name]
        keys = differing([settings[folder.path] for folder in together])
        found = [
            replace(run_row(folder), differs={key: settings[folder.path].get(key, NOT_SET) for key in keys if settings[folder.path]})
            for folder in together
        ]
        rows.extend(sorted(found, key=lambda row: row.started or 0.0))
    return rows


def run_row(folder: RunFolder) -> RunRow:
    """One run, without what tells it from others; what cannot be read of it is told, and hides nothing else."""
    row = RunRow(folder.recipe, folder.name, str(folder.path), "unreadable", bytes=disk_use([folder.path]))
    try:
        record = folder.read_record()
    except GateworkError as error:
        return replace(row, trouble=str(error))
    trouble: list[str] = []
    epochs = _tried(lambda: epoch_records(folder.metrics, trouble.append), trouble) or []
    note = _tried(lambda: read_file(folder.path / NOTE, TrackingRecord), trouble) or {}
    seconds = sum(one for epoch in epochs if 0 <= (one := epoch.values.get("epoch/seconds", 0.0)) < math.inf)
    return replace(
        row,
        status=_status(folder, record),
        backend=record.get("backend"),
        epochs=max([record.get("epochs", 0), *(round(epoch.epoch) for epoch in epochs)]),
        max_epochs=_number(record.get("settings", {}).get("trainer", {}).get("max_epochs")),
        loss=_latest(epochs, "epoch/loss"),
        val_loss=_latest(epochs, "epoch/val_loss"),
        seconds=max(seconds, record.get("wall_seconds", 0.0)),
        started=record.get("started"),
        mlflow_run=note.get("run_id"),
        trouble="; ".join(trouble) or None,
    )


def _status(folder: RunFolder, record: Mapping[str, Any]) -> str:
    status = str(record.get("status", "running"))
    return "killed" if status == "running" and not in_use(folder.path) else status


def epoch_records(path: Path, warn: Callable[[str], None] | None = None) -> list[Record]:
    """The records of whole epochs, the oldest first.

    Args:
        path: ``metrics.jsonl``.
        warn: told of damaged lines.

    Raises:
        RunError: the file cannot be read.
    """
    return [record for record in read_records(path, warn, only=b'"epoch/loss"') if "epoch/loss" in record.values]


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Keys that do not have the same value in all of some flattened configs."""
    known = [one for one in settings if one]
    keys = dict.fromkeys(key for one in known for key in one)
    return [key for key in keys if any(one.get(key, NOT_SET) != known[0].get(key, NOT_SET) for one in known)]


def disk_use(paths: Iterable[Path]) -> int:
    """Bytes of files and of all files below folders, as far as one may look; what is linked twice counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in paths:
        with suppress(OSError):
            for entry in entries_below(path):
                with suppress(OSError):  # replaced at this moment by the run itself
                    status = entry.stat(follow_symlinks=False)
                    if not stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                        seen.add((status.st_dev, status.st_ino))
                        total += status.st_size
    return total


def settings_of(folder: RunFolder) -> dict[str, Any]:
    """The run's config, flattened, without what says where and how it is kept."""
    try:
        settings = folder.read_record().get("settings", {})
    except GateworkError:
        return {}
    return dict(leaves({key: value for key, value in settings.items() if key not in NOT_PART_OF_A_RUN}))


def _latest(epochs: Sequence[Record], name: str) -> float | None:
    return next((epoch.values[name] for epoch in reversed(epochs) if name in epoch.values), None)


def _tried(read: Callable[[], Found], trouble: list[str]) -> Found | None:
    try:
        return read()
    except GateworkError as error:
        trouble.append(str(error))
        return None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
