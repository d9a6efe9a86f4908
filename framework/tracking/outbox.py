"""What a run has recorded and a tracking store has not yet: delivered in order, each thing once.

The run's folder is the truth. ``tracking.json`` beside it says how much of it has been delivered; it is written after each
delivery, and a delivery that is repeated because that note was lost changes nothing (see :class:`~framework.tracking.store.MlflowStore`).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framework.spec.experiment import Experiment

if TYPE_CHECKING:
    from framework.tracking.store import MlflowStore

NOTE = "tracking.json"
_VALUES_AT_ONCE = 1000
_UPLOADED = ("config/*.yaml", "samples/*.txt", "plots/*.png", "report.md", "model/*")


class Outbox:
    """Everything of one run that is to be delivered.

    Args:
        folder: the run's folder.
        experiment: its config.
    """

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.folder = folder
        self.experiment = experiment
        self.note: dict[str, Any] = _read_json(folder / NOTE)
        self.note.setdefault("key", uuid.uuid4().hex)
        self.note.setdefault("delivered", 0)
        self.note.setdefault("files", {})
        self._write_note()

    @property
    def uri(self) -> str:
        """Address of the store; a database beside ``runs/`` when the config names none."""
        return self.experiment.tracking.uri or f"sqlite:///{self._beside_runs() / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path | None:
        """Folder of the artifacts, where the store is our own database; a server decides itself."""
        return self._beside_runs() / "mlartifacts" if self.experiment.tracking.uri is None else None

    def deliver(self, store: MlflowStore) -> None:
        """Delivers everything that there is now.

        Raises:
            Exception: whatever the store answers; what was delivered before stays noted.
        """
        run = self._run(store)
        self._deliver_settings(store, run)
        self._deliver_values(store, run)
        self._deliver_files(store, run)
        ended = self.note.get("ended")
        if ended and self.note.get("status") != ended["status"]:
            if ended.get("error"):
                store.set_tags(run, {"gatework.error": ended["error"][:5000]})
            store.set_status(run, ended["status"])
            self._update(status=ended["status"])

    def is_empty(self) -> bool:
        """Whether everything is delivered."""
        path = self.folder / "metrics.jsonl"
        rest = path.stat().st_size - self.note["delivered"] if path.is_file() else 0
        ended = self.note.get("ended")
        return rest <= 0 and not list(self._new_files()) and (ended is None or ended["status"] == self.note.get("status"))

    def begin(self) -> None:
        """The run starts, or goes on: its status is ``running`` again."""
        self._update(ended=None, status=None, settings=None)

    def end(self, status: str, error: str | None) -> None:
        """Notes how the run has ended."""
        self._update(ended={"status": status, "error": error, "time": time.time()})

    def _run(self, store: MlflowStore) -> str:
        if "run_id" not in self.note or self.note.get("uri") != self.uri:
            experiment = store.experiment(self.experiment.tracking.experiment_name or self.experiment.recipe)
            tags = {**self.experiment.tracking.tags, "gatework.recipe": self.experiment.recipe, "gatework.folder": str(self.folder)}
            run = store.run(experiment, self.note["key"], self.folder.name, tags)
            self._update(uri=self.uri, experiment_id=experiment, run_id=run)
        if self.note.get("status") is None:
            store.set_status(self.note["run_id"], "running")
            self._update(status="running")
        return str(self.note["run_id"])

    def _deliver_settings(self, store: MlflowStore, run: str) -> None:
        if self.note.get("settings"):
            return
        parameters = flatten(self.experiment.model_dump(mode="json"))
        changed = store.add_parameters(run, parameters)
        tags = {f"gatework.changed.{key}": value for key, value in changed.items()}
        record = _read_json(self.folder / "run.json")
        for key in ("digest", "data_digest", "data_source", "parameters"):
            if key in record:
                tags[f"gatework.{key}"] = str(record[key])
        store.set_tags(run, tags)
        self._update(settings=True)

    def _deliver_values(self, store: MlflowStore, run: str) -> None:
        from framework.tracking.store import Value

        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return
        values: list[Value] = []
        end = self.note["delivered"]
        with path.open("rb") as file:
            file.seek(end)
            for line in file:
                if not line.endswith(b"\n"):  # still being written
                    break
                record = json.loads(line)
                end += len(line)
                stamp = round(record["time"] * 1000)
                values.extend(Value(name, value, stamp, record["step"]) for name, value in record["values"].items())
                if len(values) >= _VALUES_AT_ONCE:
                    store.add_values(run, values)
                    self._update(delivered=end)
                    values = []
        if values:
            store.add_values(run, values)
            self._update(delivered=end)

    def _deliver_files(self, store: MlflowStore, run: str) -> None:
        for file, state in list(self._new_files()):
            relative = file.relative_to(self.folder)
            store.add_file(run, file, relative.parent.as_posix() if relative.parent != Path() else "")
            self._update(files={**self.note["files"], relative.as_posix(): state})

    def _new_files(self) -> Iterator[tuple[Path, list[int]]]:
        patterns = [*_UPLOADED, "checkpoints/*/*"] if self.experiment.tracking.log_checkpoints else _UPLOADED
        for pattern in patterns:
            for file in sorted(self.folder.glob(pattern)):
                if file.is_file() and not file.name.startswith("."):
                    status = file.stat()
                    state = [status.st_size, status.st_mtime_ns]
                    if self.note["files"].get(file.relative_to(self.folder).as_posix()) != state:
                        yield file, state

    def _beside_runs(self) -> Path:
        return Path(self.experiment.paths.runs_dir).expanduser().resolve().parent

    def _update(self, **changes: Any) -> None:
        self.note.update(changes)
        self._write_note()

    def _write_note(self) -> None:
        path = self.folder / NOTE
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{NOTE}.part")
        part.write_text(json.dumps(self.note, indent=2), encoding="utf-8")
        part.replace(path)


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Leaves of nested mappings by dotted key, as text; nothing is cut short: what is too long for a store is left to the config files."""
    from framework.tracking.store import PARAMETER_LENGTH

    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, inner in value.items():
            leaves.update(flatten(inner, f"{path}.{key}" if path else str(key)))
        return leaves
    text = value if isinstance(value, str) else json.dumps(value)
    return {path: text} if len(text) <= PARAMETER_LENGTH else {path: "(too long for a parameter: see config/resolved.yaml)"}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
