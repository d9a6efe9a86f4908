"""What a run has recorded and a tracking store has not yet: delivered in order, each thing once.

The run's folder is the truth. ``tracking.json`` in it says how much of it has been delivered; it is written after each delivery,
and a delivery that is repeated because that note was lost changes nothing (see :class:`~framework.tracking.store.MlflowStore`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from framework.file_lock import MULTIRUN_LOCK, RUN_LOCK, file_lock, is_locked
from framework.secrets import concealed
from framework.spec.run_files import MultirunRecord, ValuesRecord, read_file, read_run_record
from framework.tracking import settings
from framework.tracking.address import artifacts_folder, shown, store_uri, whole_address
from framework.tracking.model import is_logged, log_model, model_state
from framework.tracking.note import Note
from framework.tracking.settings import TAG_LENGTH, whole
from framework.tracking.store import MlflowStore, Value

LOCK = ".tracking.lock"
"""Held in the run's folder by whoever delivers from it."""

MULTIRUN = "multirun.json"
"""Marks a multirun's folder, as ``run.json`` marks a run's."""

FILES = ("metrics.jsonl", "system.jsonl")
"""What a run measures, and what is measured of the machine: a JSON object a line, with ``step``, ``time`` and ``values``."""

_VALUES_AT_ONCE = 1000
REPRODUCTION = "reproduction.json"
"""What a run measured of what is published."""

PARITY = "parity.json"
"""How far two backends are apart."""

_UPLOADED = (
    "config/*.yaml",
    "environment.json",
    "samples/*.txt",
    "plots/*.png",
    "evaluations/*.md",
    "evaluations/*.png",
    "report.md",
    "jobs.json",
    "trials.json",
    REPRODUCTION,
    PARITY,
)
_CHECKPOINTS = ("checkpoints/last/*", "checkpoints/best/*")
_ERROR_TAG = "gatework.error"
_PARENT_TAG = "mlflow.parentRunId"


@dataclass
class Delivered:
    """What was delivered: values, parameters and files by number, the model, the status."""

    values: int = 0
    parameters: int = 0
    files: int = 0
    model: str | None = None
    status: str | None = None

    def __bool__(self) -> bool:
        return self != Delivered()


class Outbox:
    """Everything of one run, or of one multirun, that is to be delivered.

    Only one process at a time may deliver from a folder: hold :data:`LOCK` in it.

    Args:
        folder: the run's folder.
        uri: address of the store, if it is not the one that an earlier delivery, or else the config, names.
        experiment: name of the experiment to record a new run under, if it is not the one that the config names.

    Attributes:
        uri: address of the store, with its password where that is known; of a multirun None until its first run is recorded.
        accepted: how many things the store has taken so far, each of which it is given once; what this side alone notes is none.
    """

    def __init__(self, folder: Path, uri: str | None = None, experiment: str | None = None) -> None:
        self.folder = folder
        self.experiment = experiment
        self.is_multirun = (folder / MULTIRUN).is_file()
        self.note = Note(folder)
        self._read_config()
        self.tracking = settings.tracking_of(self.resolved, folder)
        self.delivered = Delivered()
        self.accepted = 0
        self._known: dict[str, set[int]] = {}
        self.uri = uri or self.note.get("uri") or (None if self.is_multirun else store_uri(folder, self.tracking))
        if self.uri is not None:
            self.note.use_store(shown(self.uri))

    def open_store(self, timeout: float, allow: Any = lambda seconds: None) -> MlflowStore:
        """The store; see :class:`~framework.tracking.store.MlflowStore` for the arguments.

        Raises:
            InputError: its address needs a password that is nowhere to be found.
        """
        assert self.uri is not None
        return MlflowStore(whole_address(self.uri), artifacts_folder(self.folder, self.uri), timeout, allow)

    @property
    def is_trained(self) -> bool:
        """Whether somebody trains the run, or runs the multirun's jobs, now."""
        return is_locked(self.folder / (MULTIRUN_LOCK if self.is_multirun else RUN_LOCK))

    def begin(self, parent: Path | None) -> None:
        """The run starts, or goes on: its status is ``running`` again.

        Args:
            parent: folder of the multirun that it is a job of.
        """
        self.note.update(ended=None, status=None, settings=None, parent=str(parent) if parent else self.note.get("parent"))

    def settle(self) -> None:
        """Notes how the run has ended, by its own record; one that nobody trains and whose record tells of no end was killed."""
        record, known = self._record(), self.note.get("ended")
        status = record.get("status", "running")
        signs = [file.stat().st_mtime for name in ("run.json", MULTIRUN, *FILES) if (file := self.folder / name).is_file()]
        ended = {"status": "killed", "time": max(signs, default=time.time())}
        if status != "running":
            error = record.get("error")
            ended = {"status": status, "error": error and concealed(error), "time": record.get("ended", ended["time"])}
        if known is None:
            self.note.update(ended=ended)
        elif known["time"] < ended["time"]:  # it was trained again, and nobody followed it
            self.note.update(ended=ended, status=None)

    def verify(self, store: MlflowStore) -> None:
        """Makes sure that the store still has the run; begins anew where somebody deleted it."""
        run = self.note.get("run_id")
        if run is not None and not store.has_run(run):
            self.note.forget_store()

    def deliver(self, store: MlflowStore) -> None:
        """Delivers everything that there is now.

        Raises:
            Exception: whatever the store answers; what was delivered before stays noted.
        """
        run = self.run(store)
        if self.note.get("status") is None:
            self._take_up(store, run)
        self._deliver_settings(store, run)
        for name in FILES:
            self._deliver_values(store, run, name)
        self._deliver_files(store, run)
        if self.note.get("ended"):
            self._deliver_model(store, run)
            self._deliver_end(store, run)

    def _took(self, **changes: Any) -> None:
        """Notes what the store has taken."""
        self.note.update(**changes)
        self.accepted += 1

    def run(self, store: MlflowStore) -> str:
        """The run's id in the store, where it is made at the first time."""
        if self.note.get("run_id") is not None:
            return str(self.note.get("run_id"))
        experiment = store.experiment(self._experiment_name())
        key, record = self.note.get("key"), self._record()
        found = store.runs(experiment, key)
        if not found:
            # An answer that does not come leaves open whether the run was made; if it was, there are two in the end.
            self.note.update(asked=True, doubt=self.note.get("asked"))
            started = record.get("started")
            made = store.make_run(experiment, key, record.get("title", self.folder.name), round(started * 1000) if started else None)
            found = [made]
        self._took(experiment_id=experiment, run_id=found[0], asked=None)
        return found[0]

    def _experiment_name(self) -> str:
        return str(self.experiment or self.tracking.experiment_name or self.resolved.get("recipe") or self.folder.parent.name)

    def _take_up(self, store: MlflowStore, run: str) -> None:
        """The run is in progress again, whatever it was before."""
        _, tags = store.parameters_and_tags(run)
        if _ERROR_TAG in tags:
            store.delete_tag(run, _ERROR_TAG)
        store.set_status(run, "running")
        self._took(status="running")

    def _deliver_settings(self, store: MlflowStore, run: str) -> None:
        state = settings.source_state(self.folder)
        if self.note.get("settings") == state:
            return
        record = self._record()
        self._read_config()
        parameters = settings.parameters_of(self.resolved)
        there, tags_there = store.parameters_and_tags(run)
        new = {key: value for key, value in parameters.items() if key not in there}
        store.add_parameters(run, new)
        self.delivered.parameters += len(new)
        changed, unchanged = settings.differences(parameters, there, tags_there)
        tags = {**settings.tags_of(self.folder, record, self.resolved), **changed, **self._parent_tag(store)}
        store.set_tags(run, {key: value for key, value in tags.items() if tags_there.get(key) != value})
        for tag in unchanged:
            store.delete_tag(run, tag)
        if "data_digest" in record:
            store.add_data(run, settings.data_name(self.resolved), record["data_digest"], str(record.get("data_source", "")))
        self._took(settings=state)

    def _parent_tag(self, store: MlflowStore) -> dict[str, str]:
        """Ties the run to its multirun's, which is made with the first of its jobs that is delivered."""
        parent = self.note.get("parent")
        if parent is None or not (Path(parent) / MULTIRUN).is_file():
            return {}
        with file_lock(Path(parent) / LOCK):
            outbox = Outbox(Path(parent), self.uri, self._experiment_name())
            outbox.verify(store)
            outbox.deliver(store)
            return {_PARENT_TAG: outbox.run(store)}

    def _deliver_values(self, store: MlflowStore, run: str, name: str) -> None:
        path, start = self.folder / name, int(self.note.get("delivered", {}).get(name, 0))
        suspect = name in self.note.get("lost", [])
        batch: list[Value] = []
        end = start
        for values, end in read_values(path, start):
            for value in values:
                if suspect and value.name not in self._known:
                    self._known[value.name] = store.steps(run, value.name)
                if value.step not in self._known.get(value.name, ()):
                    batch.append(value)
            if len(batch) >= _VALUES_AT_ONCE:
                self._send(store, run, name, batch, end)
                batch = []
        if end != start:
            self._send(store, run, name, batch, end)

    def _send(self, store: MlflowStore, run: str, name: str, batch: list[Value], end: int) -> None:
        store.add_values(run, batch)
        self.delivered.values += len(batch)
        self._took(delivered={**self.note.get("delivered", {}), name: end})

    def _deliver_files(self, store: MlflowStore, run: str) -> None:
        patterns = [*_UPLOADED, *(_CHECKPOINTS if self.tracking.log_checkpoints else ())]
        if self.resolved and not self._logged:
            patterns.append("model/*")
        for file in [file for pattern in patterns for file in sorted(self.folder.glob(pattern))]:
            if file.name.startswith(".") or not file.is_file():
                continue
            relative, status = file.relative_to(self.folder), file.stat()
            state, known = [status.st_size, status.st_mtime_ns], self.note.get("files", {})
            if known.get(relative.as_posix()) == state:
                continue
            try:
                store.add_file(run, file, "" if relative.parent == Path() else relative.parent.as_posix())
            except FileNotFoundError:  # a checkpoint that has just been replaced; its successor comes with the next delivery
                continue
            self.delivered.files += 1
            self._took(files={**known, relative.as_posix(): state})

    def _deliver_model(self, store: MlflowStore, run: str) -> None:
        """Logs, and registers, the model of a run that has ended well."""
        state = model_state(self.folder)
        if self.note.get("ended")["status"] != "finished" or state is None or not self._logged:
            return
        model = self.note.get("model", {})
        if model.get("state") != state:
            experiment, key = self.note.get("experiment_id"), self.note.get("key")
            self.delivered.model = log_model(store, experiment, run, key, self.folder, self.resolved, self._record().get("steps", 0))
            model = {"state": state, "id": self.delivered.model}
            self._took(model=model)
        name = self.tracking.register_as
        if name is not None and model.get("registered_as") != name:
            version = store.register(model["id"], run, name)
            self._took(model={**model, "registered_as": name, "version": version})

    def _deliver_end(self, store: MlflowStore, run: str) -> None:
        ended = self.note.get("ended")
        if ended["status"] == self.note.get("status"):
            return
        if ended.get("error"):
            store.set_tags(run, {_ERROR_TAG: whole(ended["error"], TAG_LENGTH, "see run.json")})
        if self.note.get("doubt"):
            for other in store.runs(self.note.get("experiment_id"), self.note.get("key")):
                if other != run:
                    store.delete_run(other)
        store.set_status(run, ended["status"], round(ended["time"] * 1000))
        self.delivered.status = ended["status"]
        self._took(status=ended["status"], doubt=None)

    def _read_config(self) -> None:
        self.resolved = settings.read_resolved(self.folder)
        self._logged = bool(self.resolved) and is_logged(self.resolved)

    def _record(self) -> dict[str, Any]:
        if self.is_multirun:
            return read_file(self.folder / MULTIRUN, MultirunRecord)
        return read_run_record(self.folder / "run.json")


def is_tracked(folder: Path) -> bool:
    """Whether a run is meant to be recorded in MLflow, or has been."""
    if Note(folder).get("uri") is not None:
        return True
    resolved = settings.read_resolved(folder)
    return bool(resolved) and settings.tracking_of(resolved, folder).kind == "mlflow"


def read_values(path: Path, start: int) -> Iterator[tuple[list[Value], int]]:
    """The values of each whole line from byte ``start`` on, with the byte that the line ends at.

    A last line that is still being written is left out; a damaged line holds no values.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(start)
        end = start
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield _values(line), end


def _values(line: bytes) -> list[Value]:
    try:
        record = ValuesRecord.model_validate_json(line)
    except ValidationError:
        return []
    return [Value(name, value, round(record.time * 1000), record.step) for name, value in record.values.items()]
