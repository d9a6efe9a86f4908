"""Every run with what it came to, read from the run folders alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framework.engine.digest import NOT_PART_OF_A_RUN, leaves
from framework.engine.files import read_json
from framework.engine.folder import RunFolder, all_runs
from framework.engine.lock import in_use
from framework.engine.recorder import Record
from framework.errors import GateworkError
from framework.report.runs import RunRow

_NOT_SET = "(not set)"


def list_runs(runs_dir: str = "runs", recipe: str | None = None) -> list[RunRow]:
    """Every run below ``runs_dir``, or those of one recipe; by recipe, the oldest first."""
    folders = [folder for folder in all_runs(runs_dir) if recipe in (None, folder.recipe)]
    settings = {folder.path: _settings(folder) for folder in folders}
    rows = []
    for name in dict.fromkeys(folder.recipe for folder in folders):
        together = [folder for folder in folders if folder.recipe == name]
        keys = differing([settings[folder.path] for folder in together])
        found = [
            replace(run_row(folder), differs={key: settings[folder.path].get(key, _NOT_SET) for key in keys if settings[folder.path]})
            for folder in together
        ]
        rows.extend(sorted(found, key=lambda row: row.started or 0.0))
    return rows


def run_row(folder: RunFolder) -> RunRow:
    """One run, without what tells it from others."""
    try:
        record = folder.read_record()
        note = read_json(folder.path / "tracking.json") or {}
    except GateworkError:
        return RunRow(folder.recipe, folder.name, str(folder.path), "unreadable", bytes=disk_use([folder.path]))
    epochs = epoch_records(folder.metrics)
    seconds = sum(epoch.values.get("epoch/seconds", 0.0) for epoch in epochs)
    return RunRow(
        folder.recipe,
        folder.name,
        str(folder.path),
        run_status(folder),
        backend=record.get("backend"),
        epochs=max([record.get("epochs", 0), *(round(epoch.epoch) for epoch in epochs)]),
        max_epochs=record.get("settings", {}).get("trainer", {}).get("max_epochs"),
        loss=_latest(epochs, "epoch/loss"),
        val_loss=_latest(epochs, "epoch/val_loss"),
        seconds=max(seconds, record.get("wall_seconds", 0.0)),
        bytes=disk_use([folder.path]),
        started=record.get("started"),
        mlflow_run=note.get("run_id"),
    )


def run_status(folder: RunFolder) -> str:
    """As in ``run.json``; a run that says ``running`` but that no process trains any more was ``killed``."""
    status = str(folder.read_record().get("status", "running"))
    return "killed" if status == "running" and not in_use(folder.path) else status


def epoch_records(path: Path) -> list[Record]:
    """The records of whole epochs, the oldest first."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return [Record(**json.loads(line)) for line in file if b'"epoch/loss"' in line and line.endswith(b"\n")]


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Keys that do not have the same value in all of some flattened configs."""
    known = [one for one in settings if one]
    keys = dict.fromkeys(key for one in known for key in one)
    return [key for key in keys if any(one.get(key, _NOT_SET) != known[0].get(key, _NOT_SET) for one in known)]


def disk_use(paths: Iterable[Path]) -> int:
    """Bytes of files and of all files below folders; what is linked twice counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in paths:
        for folder, _, names in os.walk(path) if path.is_dir() else [(str(path.parent), [], [path.name])]:
            for name in names:
                try:
                    status = os.lstat(os.path.join(folder, name))
                except OSError:  # replaced at this moment by the run itself
                    continue
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_size
    return total


def _settings(folder: RunFolder) -> dict[str, Any]:
    """The run's config, flattened, without what says where and how it is kept."""
    try:
        settings = folder.read_record().get("settings", {})
    except GateworkError:
        return {}
    return dict(leaves({key: value for key, value in settings.items() if key not in NOT_PART_OF_A_RUN}))


def _latest(epochs: Sequence[Record], name: str) -> float | None:
    return next((epoch.values[name] for epoch in reversed(epochs) if name in epoch.values), None)
