"""What a run is, as the flat names and texts that a store keeps: its config, its data, its code, its machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.errors import RunError, SpecError
from framework.files import read_plain
from framework.secrets import conceal
from framework.spec.problems import ProblemCollector
from framework.spec.run_files import EnvironmentRecord, Sections, parse_file, read_file
from framework.spec.tracking import TrackingSpec

KEY_LENGTH = 250
PARAMETER_LENGTH = 6000
TAG_LENGTH = 5000
"""Characters that MLflow keeps of a key, a parameter's value and a tag's value; it cuts longer values short without a word.

Source: MLflow documentation, "REST API", runs/log-batch.
"""

_WHERE = "see config/resolved.yaml"

ENVIRONMENT = "environment.json"
CHANGED = "gatework.changed."
"""Begins the tags of parameters that a run was gone on with under another value; MLflow keeps the first value for ever."""

_RECORDED = {
    "backend": "gatework.backend",
    "digest": "gatework.config_digest",
    "data_digest": "gatework.data_digest",
    "data_source": "gatework.data_source",
    "parameters": "gatework.parameters",
    "pruned_after_epoch": "gatework.pruned_after_epoch",
    "reproduction": "gatework.reproduction",
    "parity": "gatework.parity",
}
REPORT = "report.md"
_SOURCES = ("run.json", "multirun.json", REPORT, ENVIRONMENT, "config/resolved.yaml", "config/overrides.yaml")


def source_state(folder: Path) -> list[list[int]]:
    """What tells whether the settings may have changed."""
    found = []
    for name in _SOURCES:
        if (folder / name).is_file():
            status = (folder / name).stat()
            found.append([status.st_size, status.st_mtime_ns])
    return found


def parameters_of(resolved: Mapping[str, Any]) -> dict[str, str]:
    """The resolved config, flattened, without passwords."""
    return flatten(conceal(resolved)) if resolved else {}


def tags_of(folder: Path, record: Mapping[str, Any], resolved: Mapping[str, Any]) -> dict[str, str]:
    """Everything that is known of a run beside its parameters.

    Args:
        folder: its folder.
        record: ``run.json`` or ``multirun.json``.
        resolved: its resolved config; empty for a multirun.
    """
    tags: dict[str, Any] = dict(resolved.get("tracking", {}).get("tags", {}))
    environment: dict[str, Any] = {}
    try:
        environment = read_file(folder / ENVIRONMENT, EnvironmentRecord)
    except RunError as error:  # what was measured does not depend on it
        tags["gatework.damaged"] = str(error)
    tags["gatework.folder"] = str(folder)
    tags["gatework.recipe"] = resolved.get("recipe")
    tags["gatework.overrides"] = " ".join(_overrides(folder, record)) or None
    tags.update({tag: record.get(name) for name, tag in _RECORDED.items()})
    tags.update({f"gatework.version.{name}": version for name, version in record.get("versions", {}).items()})
    tags.update({f"gatework.{name}": environment.get(name) for name in ("python", "platform", "host")})
    hardware = environment.get("hardware", {})
    tags.update({f"gatework.{name}": hardware.get(name) for name in ("processor", "processors", "memory_gigabytes")})
    tags["gatework.gpus"] = "; ".join(hardware.get("gpus", [])) or None
    tags["mlflow.user"] = environment.get("user")
    tags["mlflow.source.name"] = record.get("command", "gatework train")
    tags["mlflow.source.type"] = "LOCAL"
    tags["mlflow.note.content"] = _report(folder)
    git = environment.get("git")
    if git:
        tags["mlflow.source.git.commit"] = git["commit"]
        tags["mlflow.source.git.branch"] = git.get("branch")
        tags["gatework.git_dirty"] = git["dirty"]
    return {key: _text(conceal(value)) for key, value in tags.items() if value is not None and len(key) <= KEY_LENGTH}


def differences(parameters: Mapping[str, str], there: Mapping[str, str], tags: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """How a run's parameters differ from those that its store keeps.

    Args:
        parameters: of now.
        there: that the store has.
        tags: that the store has.

    Returns:
        Tags that name each other value, and names of tags that no longer hold.
    """
    changed = {f"{CHANGED}{key}": _text(value) for key, value in parameters.items() if there.get(key, value) != value}
    changed = {key: value for key, value in changed.items() if len(key) <= KEY_LENGTH}
    return changed, [tag for tag in tags if tag.startswith(CHANGED) and tag not in changed]


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Leaves of nested mappings by dotted key, as text: strings as they are, all else as JSON.

    What is too long for a store is not cut short but left to the config's file.
    """
    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, inner in value.items():
            leaves.update(flatten(inner, f"{path}.{key}" if path else str(key)))
        return leaves
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(path) > KEY_LENGTH:
        return {}
    return {path: whole(text, PARAMETER_LENGTH, _WHERE)}


def whole(text: str, length: int, where: str) -> str:
    """``text``, or where to read it if it is longer than ``length``."""
    return text if len(text) <= length else f"({len(text):,} characters: {where})"


def data_name(resolved: Mapping[str, Any]) -> str:
    """What the data is called."""
    data = resolved.get("data", {})
    path = data.get("path") or [one for one in (data.get("source_path"), data.get("target_path")) if one]
    named = ", ".join(Path(place).name for place in (path if isinstance(path, list) else [path]))
    fetched = (data.get("download") or {}).get("filename")
    return str(named or data.get("corpus") or (Path(fetched).name if fetched else data.get("kind", "data")))


def read_resolved(folder: Path) -> dict[str, Any]:
    """The run's resolved config as it was saved; empty where there is none.

    Raises:
        RunError: it is damaged or was written by a newer version.
    """
    from framework.config.saved import load_resolved

    path = folder / "config" / "resolved.yaml"
    if not path.is_file():
        return {}
    resolved = load_resolved(path)
    try:
        return {**resolved, **parse_file(Sections, resolved)}
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


def tracking_of(resolved: Mapping[str, Any], folder: Path) -> TrackingSpec:
    """The section ``tracking`` of a saved config.

    Raises:
        SpecError: it is damaged; every problem is named.
    """
    collector = ProblemCollector()
    found = collector.parse(TrackingSpec, resolved.get("tracking", {}), "tracking")
    if found is None:
        raise SpecError(collector.problems, f"{folder / 'config' / 'resolved.yaml'} is damaged")
    return found


def _overrides(folder: Path, record: Mapping[str, Any]) -> list[str]:
    from framework.config.yaml_file import read_yaml

    path = folder / "config" / "overrides.yaml"
    found = read_yaml(path) if path.is_file() else record.get("overrides", [])
    return [str(one) for one in found] if isinstance(found, list) else []


def _report(folder: Path) -> str | None:
    """The report as the description on the run's page, which shows no pictures of the folder's."""
    path = folder / REPORT
    if not path.is_file():
        return None
    lines = read_plain(path).decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("![", "# "))).strip()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return whole(text, TAG_LENGTH, "see the run's folder")
