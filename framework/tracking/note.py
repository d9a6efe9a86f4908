"""``tracking.json``: how much of a run's folder each tracking store has been given."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from framework.files import read_json, replace_text
from framework.secrets import remember_address
from framework.spec.run_files import TrackingRecord, parse_file
from framework.tracking.address import shown

NOTE = "tracking.json"

_EVERY_STORE = ("key", "parent", "ended", "stores")
"""What does not depend on the store."""


class Note:
    """What has been delivered, written whole after every change, so that a kill at any moment loses at most the last change.

    Stores are named by their addresses without passwords.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NOTE
        self.values: dict[str, Any] = _read(self.path)
        self.values.setdefault("key", uuid.uuid4().hex)

    def get(self, name: str, default: Any = None) -> Any:
        """One value."""
        return self.values.get(name, default)

    def update(self, **changes: Any) -> None:
        """Changes values and writes the file; None removes a value."""
        self.values.update(changes)
        self.values = {name: value for name, value in self.values.items() if value is not None}
        replace_text(self.path, json.dumps(self.values, indent=2))

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


def _shown(uri: str) -> str:
    """Earlier versions wrote passwords down; they stay in memory alone."""
    remember_address(uri)
    return shown(uri)
