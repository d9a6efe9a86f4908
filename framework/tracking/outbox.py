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

from framework.files import expanded
from framework.secrets import concealed
from framework.spec.run_files import MultirunRecord, read_file, read_run_record
from framework.spec.tracking import TrackingSpec
from framework.tracking import settings
from framework.tracking.address import database_address, from_environment, shown, whole_address
from framework.tracking.file_lock import file_lock
from framework.tracking.model import is_logged, log_model, model_state
from framework.tracking.note import Note
from framework.tracking.parameters import TAG_LENGTH, whole
from framework.tracking.store import MlflowStore, Value, is_server
from framework.tracking.values import FILES, read_values, size

LOCK = ".tracking.lock"
"""Held in the run's folder by whoever delivers from it."""

MULTIRUN = "multirun.json"
"""Marks a multirun's folder, as ``run.json`` marks a run's."""

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
    "report.md",
    "jobs.json",
    "trials.json",
    REPRODUCTION,
    PARITY,
)
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

    Only one process at a time may deliver from a folder: hold :meth:`lock`.

    Args:
        folder: the run's folder.
        uri: address of the store, if it is not the one that an earlier delivery, or else the config, names.
        experiment: name of the experiment to record a new run under, if it is not the one that the config names.

    Attributes:
        accepted: how many things the store has taken so far, each of which it is given once; what this side alone notes is none.
    """

    def __init__(self, folder: Path, uri: str | None = None, experiment: str | None = None) -> None:
        self.folder = folder
        self.experiment = experiment
        self.is_multirun = (folder / MULTIRUN).is_file()
        self.note = Note(folder)
        self.resolved = settings.read_resolved(folder)
        self.tracking = settings.tracking_of(self.resolved, folder)
        self.delivered = Delivered()
        self.accepted = 0
        self._known: dict[str, set[int]] = {}
        self._uri = uri or self.note.get("uri") or (None if self.is_multirun else store_uri(folder, self.tracking))
        if self._uri is not None:
            self.note.use_store(shown(self._uri))

    @staticmethod
    def lock(folder: Path) -> Any:
        """Context manager: nobody else delivers from the folder meanwhile."""
        return file_lock(folder / LOCK)

    @property
    def uri(self) -> str | None:
        """Address of the store, with its password where that is known; of a multirun None until its first run is recorded."""
        return self._uri

    def open_store(self, timeout: float, allow: Any = lambda seconds: None) -> MlflowStore:
        """The store; see :class:`~framework.tracking.store.MlflowStore` for the arguments.

        Raises:
            InputError: its address needs a password that is nowhere to be found.
        """
        assert self.uri is not None
        return MlflowStore(whole_address(self.uri), artifacts_folder(self.folder, self.uri), timeout, allow)

    def begin(self, parent: Path | None) -> None:
        """The run starts, or goes on: its status is ``running`` again.

        Args:
            parent: folder of the multirun that it is a job of.
        """
        self.note.update(ended=None, status=None, settings=None, parent=str(parent) if parent else self.note.get("parent"))

    def end(self, status: str, error: str | None = None, ended: float | None = None) -> None:
        """Notes how the run has ended, and when, in seconds since 1970."""
        self.note.update(ended={"status": status, "error": None if error is None else concealed(error), "time": ended or time.time()})

    def settle(self) -> None:
        """Notes the end of a run that nobody is training and that could not do so itself."""
        if self.note.get("ended"):
            return
        record = self._record()
        status = record.get("status", "running")
        if status != "running":
            self.end(status, record.get("error"), record.get("ended"))
            return
        signs = [file.stat().st_mtime for name in ("run.json", MULTIRUN, *FILES) if (file := self.folder / name).is_file()]
        self.end("killed", ended=max(signs, default=time.time()))

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

    def is_empty(self) -> bool:
        """Whether everything is delivered."""
        if self.note.get("run_id") is None or self.note.get("settings") != settings.source_state(self.folder):
            return False
        if any(size(self.folder / name) != self._offset(name) for name in FILES):
            return False
        ended = self.note.get("ended")
        if ended is not None and (ended["status"] != self.note.get("status") or self._model_is_due()):
            return False
        return next(self._new_files(), None) is None

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
        if not self.is_multirun:
            self.resolved = settings.read_resolved(self.folder)
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
        with Outbox.lock(Path(parent)):
            outbox = Outbox(Path(parent), self.uri, self._experiment_name())
            outbox.verify(store)
            outbox.deliver(store)
            return {_PARENT_TAG: outbox.run(store)}

    def _deliver_values(self, store: MlflowStore, run: str, name: str) -> None:
        path, start = self.folder / name, self._offset(name)
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
        for file, state in list(self._new_files()):
            relative = file.relative_to(self.folder)
            try:
                store.add_file(run, file, "" if relative.parent == Path() else relative.parent.as_posix())
            except FileNotFoundError:  # a checkpoint that has just been replaced; its successor comes with the next delivery
                continue
            self.delivered.files += 1
            self._took(files={**self.note.get("files", {}), relative.as_posix(): state})

    def _deliver_model(self, store: MlflowStore, run: str) -> None:
        if not self._model_is_due():
            return
        state = model_state(self.folder)
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

    def _model_is_due(self) -> bool:
        """Whether the run has ended well, with a model that is not logged, or not registered, yet."""
        ended, state = self.note.get("ended"), model_state(self.folder)
        if ended is None or ended["status"] != "finished" or state is None or not is_logged(self.resolved):
            return False
        model = self.note.get("model", {})
        return model.get("state") != state or self.tracking.register_as not in (None, model.get("registered_as"))

    def _new_files(self) -> Iterator[tuple[Path, list[int]]]:
        delivered = self.note.get("files", {})
        for pattern in self._patterns():
            for file in sorted(self.folder.glob(pattern)):
                if file.name.startswith(".") or not file.is_file():
                    continue
                status = file.stat()
                state = [status.st_size, status.st_mtime_ns]
                if delivered.get(file.relative_to(self.folder).as_posix()) != state:
                    yield file, state

    def _patterns(self) -> list[str]:
        patterns = list(_UPLOADED)
        if self.resolved and not is_logged(self.resolved):
            patterns.append("model/*")
        if self.tracking.log_checkpoints:
            patterns += ["checkpoints/last/*", "checkpoints/best/*"]
        return patterns

    def _offset(self, name: str) -> int:
        """Bytes of a file of values that are delivered."""
        return int(self.note.get("delivered", {}).get(name, 0))

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


def store_uri(folder: Path, tracking: TrackingSpec) -> str:
    """Address of the store that a config means.

    Where it names none, ``MLFLOW_TRACKING_URI`` does, and else it is a database beside the folder of all runs.

    Args:
        folder: the run's folder, ``runs/<recipe>/<name>``.
        tracking: the config's section; a relative database file in it counts from the working folder.
    """
    uri = tracking.uri or from_environment()
    if uri is None:
        return database_address(_beside_runs(folder) / "mlflow.db")
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{expanded(uri.removeprefix('sqlite:///')).absolute()}"
    return uri


def artifacts_folder(folder: Path, uri: str) -> Path | None:
    """Folder for the artifacts of a store without a server of its own; None where the server decides."""
    if is_server(uri):
        return None
    return (Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else _beside_runs(folder)) / "mlartifacts"


def _beside_runs(folder: Path) -> Path:
    return folder.absolute().parents[2]
