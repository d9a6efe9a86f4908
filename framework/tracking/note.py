"""``tracking.json``: how much of a run's folder each tracking store has been given."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from framework.errors import RunError
from framework.files import read_json, replace_text
from framework.secrets import remember_address
from framework.spec.run_files import TrackingRecord, parse_file
from framework.tracking.address import shown

NOTE = "tracking.json"

_EVERY_STORE = ("key", "home", "parent", "ended", "stores")
"""What does not depend on the store."""


class Note:
    """What has been delivered, written whole after every change, so that a kill at any moment loses at most the last change.

    Stores are named by their addresses without passwords.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NOTE
        self.values: dict[str, Any] = _moved(_read(self.path), folder.absolute())
        self.values.setdefault("key", uuid.uuid4().hex)

    def get(self, name: str, default: Any = None) -> Any:
        """One value."""
        return self.values.get(name, default)

    def update(self, **changes: Any) -> None:
        """Changes values and writes the file; None removes a value."""
        self.values.update(changes, home=str(self.path.parent.absolute()))
        self.values = {name: value for name, value in self.values.items() if value is not None}
        try:
            replace_text(self.path, json.dumps(self.values, indent=2))
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def use_store(self, uri: str) -> None:
        """Goes on with what was delivered to ``uri``; what another store was given is kept for the day it is used again."""
        if self.get("uri") == uri:
            return
        stores = dict(self.get("stores", {}))
        if "uri" in self.values:
            stores[self.values["uri"]] = {name: value for name, value in self.values.items() if name not in _EVERY_STORE}
        general = {name: self.values[name] for name in _EVERY_STORE if name in self.values}
        self.values = {**general, **stores.pop(uri, {})}
        self.update(uri=uri, stores=stores or None)

    def forget_store(self) -> None:
        """Nothing has been delivered to the store in use."""
        uri = self.get("uri")
        self.values = {name: self.values[name] for name in _EVERY_STORE if name in self.values}
        self.update(uri=uri)


def mark_losses(folder: Path) -> None:
    """Looks whether values are gone from a run's folder that were delivered; before the run goes on.

    That happens where the machine itself went down, and the end of a file never reached the disk. The run measures those values
    once more, at other times; the store then gets only those that it does not have.
    """
    note = Note(folder)
    offsets = note.get("delivered", {})
    lost = [name for name, offset in offsets.items() if size(folder / name) < offset]
    if lost:
        note.update(delivered={**offsets, **dict.fromkeys(lost, 0)}, lost=sorted({*lost, *note.get("lost", [])}))


def size(path: Path) -> int:
    """Bytes in the file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def _read(path: Path) -> dict[str, Any]:
    """What is damaged counts as lost: it is delivered once more."""
    try:
        values = parse_file(TrackingRecord, read_json(path))
    except (OSError, ValueError):
        return {}
    if "uri" in values:
        values["uri"] = _shown(values["uri"])
    if "stores" in values:
        values["stores"] = {_shown(uri): one for uri, one in values["stores"].items()}
    return values


def _moved(values: dict[str, Any], home: Path) -> dict[str, Any]:
    """The note of a folder that was moved, or copied, with its project: what lay beside it there lies beside it here.

    Args:
        values: with ``home``, the folder's place when they were written; versions before wrote none.
        home: its place now, ``<project>/runs/<recipe>/<name>``.
    """
    project = home.parents[2] if len(home.parts) > 3 else home
    before = values.get("home")
    if before is None:
        before = _old_home(values, project)
    if before is None or len(Path(before).parts) <= 3 or Path(before) == home:
        return values
    there = f"{Path(before).parents[2]}/"

    def here(place: str) -> str:
        start, found, rest = place.partition(there)
        return f"{start}{project}/{rest}" if found and start in ("", "sqlite:///") else place

    for name in ("uri", "parent"):
        if name in values:
            values[name] = here(values[name])
    if "stores" in values:
        values["stores"] = {here(uri): one for uri, one in values["stores"].items()}
    return values


def _old_home(values: dict[str, Any], project: Path) -> str | None:
    """A place in the project that a database was beside which is not there any more, and is beside this folder now."""
    database = Path(str(values.get("uri", "")).removeprefix("sqlite:///"))
    if not database.is_absolute() or database.exists() or not (project / database.name).is_file():
        return None
    return str(database.parent / "runs" / "recipe" / "name")


def _shown(uri: str) -> str:
    """Earlier versions wrote passwords down; they stay in memory alone."""
    remember_address(uri)
    return shown(uri)
