"""A database of MLflow's that was moved, or copied, with its project: its artifacts lie in the new place, and not where it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_OURS = """
select distinct experiments.artifact_location from experiments
join runs using (experiment_id) join tags using (run_uuid)
where tags.key = ? and experiments.artifact_location like 'file://%/' || ?
"""
"""Places of experiments with a run of Gatework's in a folder of the name that it gives it."""

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Where MLflow (3) writes down an artifact's place, which it never changes itself."""


def follow_move(database: Path, artifacts: Path, key: str) -> None:
    """Has a database name the folder of artifacts beside it, where it still names the one beside its old place.

    Args:
        database: the file; nothing happens where it is not there, or not to be written.
        artifacts: the folder beside it.
        key: tag that every run of Gatework's has.
    """
    if not database.is_file():
        return
    new = artifacts.as_uri()
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            for (old,) in connection.execute(_OURS, (key, artifacts.name)).fetchall():
                if old != new:
                    _rename(connection, old, new)
    except sqlite3.Error:  # no database of MLflow's yet, or one that may only be read
        return


def _rename(connection: sqlite3.Connection, old: str, new: str) -> None:
    there = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    for table, column in _PLACES:
        if table in there:
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where {column} = ? or substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
