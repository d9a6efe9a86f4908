"""A tracking store in memory, as strict as MLflow's, that fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.tracking.outbox import Outbox
from framework.tracking.store import Value


@dataclass
class FakeRun:
    name: str
    key: str
    started: int | None
    status: str = "running"
    ended: int | None = None
    deleted: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    data: set[tuple[str, str, str]] = field(default_factory=set)
    statuses: list[str] = field(default_factory=list)


class FakeStore:
    """Keeps what it is given.

    Args:
        fails: asked at each call: None, ``before`` (nothing happens), ``after`` (it happens, but the answer is lost), or what is
            raised instead.
    """

    def __init__(self, fails: Callable[[], str | Exception | None] = lambda: None) -> None:
        self.fails = fails
        self.experiments: dict[str, str] = {}
        self.all_runs: dict[str, FakeRun] = {}
        self.logged: dict[str, dict[str, str]] = {}
        self.versions: list[tuple[str, str]] = []

    @contextmanager
    def call(self) -> Iterator[None]:
        outcome = self.fails()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == "before":
            raise ConnectionError("refused")
        yield
        if outcome == "after":
            raise ConnectionError("timed out")

    def experiment(self, name: str) -> str:
        with self.call():
            return self.experiments.setdefault(name, str(len(self.experiments) + 1))

    def runs(self, experiment: str, key: str) -> list[str]:
        with self.call():
            return [run_id for run_id, run in self.all_runs.items() if run.key == key and not run.deleted]

    def make_run(self, experiment: str, key: str, name: str, started: int | None) -> str:
        with self.call():
            run_id = f"run-{len(self.all_runs)}"
            self.all_runs[run_id] = FakeRun(name, key, started)
            return run_id

    def has_run(self, run: str) -> bool:
        with self.call():
            return run in self.all_runs and not self.all_runs[run].deleted

    def delete_run(self, run: str) -> None:
        with self.call():
            self.all_runs[run].deleted = True

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        with self.call():
            found = self.active(run)
            found.status, found.ended = status, ended
            found.statuses.append(status)

    def parameters_and_tags(self, run: str) -> tuple[dict[str, str], dict[str, str]]:
        with self.call():
            return dict(self.active(run).parameters), dict(self.active(run).tags)

    def add_parameters(self, run: str, parameters: Mapping[str, str]) -> None:
        with self.call():
            for key, value in parameters.items():
                assert self.active(run).parameters.setdefault(key, value) == value, "parameters never change"

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        with self.call():
            self.active(run).tags.update(tags)

    def delete_tag(self, run: str, tag: str) -> None:
        with self.call():
            del self.active(run).tags[tag]

    def add_values(self, run: str, values: Sequence[Value]) -> None:
        with self.call():
            self.active(run).values.extend(value for value in values if value not in self.active(run).values)

    def steps(self, run: str, name: str) -> set[int]:
        with self.call():
            return {value.step for value in self.active(run).values if value.name == name}

    def add_data(self, run: str, name: str, digest: str, source: str) -> None:
        with self.call():
            self.active(run).data.add((name, digest, source))

    def add_file(self, run: str, file: Path, folder: str) -> None:
        with self.call():
            self.active(run).files[f"{folder}/{file.name}" if folder else file.name] = file.read_bytes()

    def models(self, experiment: str, run: str) -> dict[str, dict[str, str]]:
        with self.call():
            return {model: tags for model, tags in self.logged.items() if tags["run"] == run}

    def delete_model(self, model: str) -> None:
        with self.call():
            del self.logged[model]

    def make_model(self, experiment: str, run: str, tags: Mapping[str, str]) -> str:
        with self.call():
            model = f"m-{len(self.logged)}-{len(tags)}-{id(object())}"
            self.logged[model] = {**tags, "run": run, "status": "PENDING"}
            return model

    def fill_model(self, model: str, run: str, step: int, size: int, arguments: Mapping[str, Any]) -> None:
        with self.call():
            assert Path(arguments["artifacts"]["model"]).is_dir()
            assert Path(arguments["artifacts"]["code"]).is_file()
            self.logged[model].update(status="READY", step=str(step))

    def register(self, model: str, run: str, name: str) -> str:
        with self.call():
            if (name, model) not in self.versions:
                self.versions.append((name, model))
            return str(len(self.versions))

    def active(self, run: str) -> FakeRun:
        assert not self.all_runs[run].deleted
        return self.all_runs[run]

    def only_run(self) -> FakeRun:
        [run] = [run for run in self.all_runs.values() if not run.deleted]
        return run


def deliver(outbox: Outbox, store: FakeStore) -> None:
    """One delivery."""
    outbox.deliver(store)  # type: ignore[arg-type]


def nothing_is_left(box: Outbox, store: FakeStore) -> bool:
    """Whether somebody who looks anew finds nothing to deliver."""
    again = Outbox(box.folder, box.uri)
    deliver(again, store)
    return not again.delivered
