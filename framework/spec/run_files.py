"""What the JSON files of a run's folder hold: types and ranges that whoever reads them may rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from framework.errors import RunError
from framework.files import read_json
from framework.spec.problems import ProblemCollector

FORMAT = 1
"""Version of the run folder's layout."""

Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Seconds, since 1970 too: below the end of what a calendar can show."""
Stamp = Annotated[int, Field(ge=0, lt=2**63)]
"""A file's size in bytes, or when it was changed, in nanoseconds since 1970."""
Name = Annotated[str, Field(min_length=1, max_length=500)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256."""
Tree = Mapping[str, Any]
Status = Literal["running", "finished", "stopped", "failed", "killed", "pruned"]


class RunFile(BaseModel):
    """A mapping in a file of a run. Further keys are left alone; those known have their types. Each may be missing."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, defer_build=True)


class Sections(RunFile):
    """``settings`` of a run: the resolved config, as far as it is looked at without being validated as one."""

    recipe: Name | None = None
    name: Name | None = None
    seed: Count | None = None
    backend: Tree = {}
    data: Tree = {}
    model: Tree = {}
    optimizer: Tree = {}
    trainer: Tree = {}
    tracking: Tree = {}
    paths: Tree = {}


class ImportRecord(RunFile):
    """``imported_from`` of a run: the file of a model that was trained elsewhere."""

    file: Name
    format: str
    sha256: Digest
    difference: float | None = None


class RunRecord(RunFile):
    """``run.json``: what a run is and how far it has come."""

    format: Annotated[int, Field(ge=1, le=2**31)] | None = None
    status: Status | None = None
    error: str | None = None
    title: str | None = None
    command: str | None = None
    backend: Name | None = None
    digest: Name | None = None
    data_digest: Name | None = None
    data_source: str | None = None
    settings: Sections | None = None
    sizes: Mapping[str, Count] | None = None
    parameters: Count | None = None
    versions: Mapping[str, str] | None = None
    started: Seconds | None = None
    ended: Seconds | None = None
    wall_seconds: Seconds | None = None
    epochs: Count | None = None
    steps: Count | None = None
    best: float | None = None
    best_epoch: Count | None = None
    stopped_early: bool | None = None
    pruned_after_epoch: Count | None = None
    imported_from: ImportRecord | None = None


class PositionRecord(RunFile):
    """How far a training has come."""

    epoch: Count
    batch: Count
    step: Count


class CheckpointRecord(RunFile):
    """``checkpoint.json``: how far the training had come when a checkpoint was written."""

    position: PositionRecord
    best: float | None = None
    best_epoch: Count | None = None
    stopping_best: float | None = None
    waited: Count = 0
    seconds: Seconds = 0.0
    state_sha256: Digest | None = None
    sha256: Digest | None = None


class ValuesRecord(RunFile):
    """A line of ``system.jsonl``: what was measured of the machine at one moment."""

    step: Count
    time: Seconds
    values: Mapping[str, float]


class MeasuredRecord(ValuesRecord):
    """A line of ``metrics.jsonl``: what was measured of the training at one moment."""

    epoch: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class HardwareRecord(RunFile):
    """The machine."""

    processor: str | None = None
    processors: Count | None = None
    memory_gigabytes: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    gpus: list[str] | None = None


class GitRecord(RunFile):
    """The checkout that a run was started in."""

    commit: str
    branch: str | None = None
    dirty: bool


class EnvironmentRecord(RunFile):
    """``environment.json``: where and with what a run was trained."""

    python: str | None = None
    platform: str | None = None
    host: str | None = None
    user: str | None = None
    hardware: HardwareRecord | None = None
    libraries: Mapping[str, str] | None = None
    git: GitRecord | None = None


class EndRecord(RunFile):
    """How a run has ended, as its tracking store is told."""

    status: Status
    error: str | None = None
    time: Seconds


class ModelRecord(RunFile):
    """Which model a tracking store has been given."""

    state: list[Stamp] | None = None
    id: Name | None = None
    registered_as: Name | None = None
    version: str | None = None


class TrackingRecord(RunFile):
    """``tracking.json``: how much of a run a tracking store has been given."""

    key: Name | None = None
    home: str | None = None
    uri: str | None = None
    run_id: Name | None = None
    experiment_id: str | None = None
    parent: str | None = None
    status: Status | None = None
    ended: EndRecord | None = None
    delivered: Mapping[str, Count] | None = None
    files: Mapping[str, list[Stamp]] | None = None
    lost: list[str] | None = None
    settings: list[list[Stamp]] | None = None
    model: ModelRecord | None = None
    stores: Mapping[str, Tree] | None = None


class MultirunRecord(RunFile):
    """``multirun.json``: what a multirun is and how it has ended."""

    format: Count | None = None
    status: Status | None = None
    error: str | None = None
    title: str | None = None
    overrides: list[str] = []
    started: Seconds | None = None
    ended: Seconds | None = None
    jobs: Mapping[str, Count] | None = None
    best: str | None = None


def read_file(path: Path, model: type[RunFile]) -> dict[str, Any]:
    """The JSON mapping in ``path`` with every value of the type that ``model`` says; empty where there is no such file.

    Raises:
        RunError: the file is there and holds something else; the first value that is wrong is named.
    """
    try:
        value = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return parse_file(model, value)
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


def read_run_record(path: Path) -> dict[str, Any]:
    """``run.json``; empty where there is none.

    Raises:
        RunError: it was written by a newer version, is no JSON, or holds a value of a wrong type.
    """
    record = read_file(path, RunRecord)
    if record.get("format", FORMAT) > FORMAT:
        raise RunError(f"{path.parent} was written by a newer Gatework (format {record['format']}); this one reads up to {FORMAT}")
    return record


def parse_file(model: type[RunFile], value: object) -> dict[str, Any]:
    """A mapping whose values have the types of ``model``, as it was given but for nulls, which count as missing.

    Raises:
        ValueError: it has not; its message names the first value that is wrong, in one line.
    """
    collector = ProblemCollector()
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character, which no text can") from None
    if not isinstance(value, dict):
        raise ValueError(f"it holds {_kind(value)}; expected a mapping")
    if collector.parse(model, value, "") is None:
        problem = collector.problems[0]
        given = f" is {problem.value}" if problem.value is not None else f" {problem.message}"
        expected = f"; expected {problem.expected}" if problem.expected else ""
        more = len(collector.problems) - 1
        raise ValueError(f"'{problem.path}'{given}{expected}{f' (and {more} more)' if more else ''}")
    return {key: one for key, one in value.items() if one is not None}


def _kind(value: object) -> str:
    names = {list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
