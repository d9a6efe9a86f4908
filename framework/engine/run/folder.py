"""A run's folder: where everything lies, what it is called, how it is found again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.engine.run.files import reason, write_json, write_text
from framework.errors import RunError, nearest
from framework.files import read_plain
from framework.secrets import conceal
from framework.spec.run_files import FORMAT, TrackingRecord, read_file, read_run_record
from framework.tracking.settings import ENVIRONMENT


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run; nothing is created until something is written.

    Attributes:
        path: the run's folder, absolute.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def recipe(self) -> str:
        """Name of the run's recipe."""
        return self.path.parent.name

    @property
    def config(self) -> Path:
        """Folder with ``composed.yaml``, ``resolved.yaml`` and ``overrides.yaml``."""
        return self.path / "config"

    def sample(self, epoch: int) -> Path:
        """File with what the model made at the end of an epoch, counted from 1."""
        return self.samples / f"epoch-{epoch:04d}.txt"

    @property
    def checkpoints(self) -> Path:
        """Folder with the checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Folder with the portable model."""
        return self.path / "model"

    @property
    def samples(self) -> Path:
        """Folder with what the model made after each epoch."""
        return self.path / "samples"

    @property
    def plots(self) -> Path:
        """Folder with the curves."""
        return self.path / "plots"

    @property
    def evaluations(self) -> Path:
        """Folder with what measuring the finished model found, a file for each part of the data."""
        return self.path / "evaluations"

    @property
    def metrics(self) -> Path:
        """Every recorded value, a JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def choices(self) -> Path:
        """Which ways to compute were chosen for the run; it goes on with them."""
        return self.path / "choices.json"

    @property
    def environment(self) -> Path:
        """Where and with what the run was last gone on with: libraries, machine, code."""
        return self.path / ENVIRONMENT

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``stopped``, ``failed``, ``killed`` or ``pruned``."""
        return str(self.read_record().get("status", "running"))

    def exists(self) -> bool:
        """Whether a run has been started here."""
        return (self.path / "run.json").is_file()

    def read_record(self, *needed: str) -> dict[str, Any]:
        """``run.json`` with its values of the types of :class:`~framework.spec.run_files.RunRecord`; empty where there is none.

        Args:
            needed: keys that have to be there.

        Raises:
            RunError: it was written by a newer version, is no JSON, holds a value of a wrong type, or lacks a key.
        """
        record = read_run_record(self.path / "run.json")
        if missing := [key for key in needed if key not in record]:
            raise RunError(f"{self.path / 'run.json'} is damaged: it lacks {', '.join(missing)}")
        return record

    def update_record(self, **changes: Any) -> dict[str, Any]:
        """Changes values of ``run.json`` and writes it, without passwords."""
        changes = {name: conceal(value) for name, value in changes.items()}
        record = {"format": FORMAT, **self.read_record(), **changes}
        write_json(self.path / "run.json", record)
        return record


def next_free(folder: RunFolder) -> RunFolder:
    """The first of ``<name>-2``, ``<name>-3``, … where there is no run yet."""
    number = 2
    while (candidate := RunFolder(folder.path.with_name(f"{folder.name}-{number}"))).path.exists():
        number += 1
    return candidate


def remember_begun(folder: RunFolder, runs_dir: str) -> None:
    """A run that begins is the last one for as long as none has finished: what was stopped, pruned or failed is seldom what is meant."""
    with suppress(RunError):  # no run yet, or one that is gone or damaged
        if find_run("last", runs_dir).status == "finished":
            return
    remember_last(folder, runs_dir)


def remember_last(folder: RunFolder, runs_dir: str) -> None:
    """Writes the path of a run to ``runs/last``: of the latest that has finished."""
    root = _runs_dir(runs_dir)
    relative = folder.path.relative_to(root) if folder.path.is_relative_to(root) else folder.path
    write_text(root / "last", f"{relative.as_posix()}\n")


def find_run(name: str, runs_dir: str = "runs") -> RunFolder:
    """The run that a person means: a run folder, ``last``, ``<recipe>/<name>``, a run's name or its MLflow run id.

    Raises:
        RunError: there is no such run, or several have that name.
    """
    root = _runs_dir(runs_dir)
    if name == "last":
        return _last(root)
    for path in (Path(name), root / name):
        if (path / "run.json").is_file():
            return RunFolder(path.resolve())
    runs = list(all_runs(runs_dir))
    found = [run for run in runs if run.name == name]
    found = found or [run for run in runs if name in _mlflow_ids(run)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RunError(f"several runs are called '{name}': " + ", ".join(f"{run.recipe}/{run.name}" for run in found))
    known = [f"{run.recipe}/{run.name}" for run in runs]
    guess = nearest(name, [*known, *(run.name for run in runs), "last"])
    there = f"runs there: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}" if known else "there are no runs yet"
    raise RunError(f"no run '{name}' below {root}; {there}" + (f"; did you mean {guess}?" if guess else ""))


def all_runs(runs_dir: str = "runs") -> Iterator[RunFolder]:
    """Every run below ``runs_dir``, by recipe and name; folders with a dot before their name hold no runs."""
    for record in sorted(_runs_dir(runs_dir).glob("[!.]*/[!.]*/run.json")):
        yield RunFolder(record.parent)


def _runs_dir(runs_dir: str) -> Path:
    try:
        return Path(runs_dir).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no home, a loop of links, a null byte
        raise RunError(f"the folder of all runs, {runs_dir!r}, cannot be found: {reason(error)}") from error


def _last(root: Path) -> RunFolder:
    marker = root / "last"
    try:
        named = read_plain(marker).decode("utf-8").strip()
        folder = RunFolder((root / named).resolve())
        there = folder.exists()
    except FileNotFoundError:
        raise RunError(f"no run yet: {marker} is not there") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(f"cannot read {marker}: {reason(error)}; name the run instead of last, or remove that file") from error
    if not there:
        raise RunError(f"{marker} names {folder.path}, where there is no run")
    return folder


def _mlflow_ids(run: RunFolder) -> list[str]:
    """Ids of a run; none where they cannot be read, which hides no other run."""
    with suppress(RunError):
        return [str(read_file(run.path / "tracking.json", TrackingRecord).get("run_id"))]
    return []
