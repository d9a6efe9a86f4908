"""Checkpoints that survive a kill: written whole, checked when read, with the one before at hand.

A checkpoint is a folder with ``state.safetensors`` (weights, optimizer slots, recurrent states, random state) and
``checkpoint.json`` (how far the training had come, the checksum of the arrays, and its own). ``last`` is the latest, ``previous`` the
one before it, ``best`` the one with the best monitored value.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.training import Arrays, Position
from framework.engine.run.files import write_json
from framework.errors import CheckpointError, GateworkError, RunError
from framework.files import sync_folder
from framework.spec.run_files import CheckpointRecord, read_file
from framework.weights.store import load_with_checksum, save_weights

STATE = "state.safetensors"
PROGRESS = "checkpoint.json"

_STATE_SHA = "state_sha256"
_SHA = "sha256"


@dataclass(frozen=True)
class Progress:
    """How far a training had come when a checkpoint was written.

    Attributes:
        position: epochs, batches and steps done.
        best: best monitored value so far, in its own unit: nats a token for a loss.
        best_epoch: epoch that reached it, counted from 1.
        stopping_best: best value that early stopping has seen.
        waited: epochs since then.
        seconds: training time so far.
    """

    position: Position
    best: float | None = None
    best_epoch: int | None = None
    stopping_best: float | None = None
    waited: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``checkpoint.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Progress:
        """The reverse of :meth:`as_json`."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        return cls(**{**known, "position": Position(**{name: value["position"][name] for name in ("epoch", "batch", "step")})})


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds."""

    name: str
    state: dict[str, NDArray[np.generic]]
    progress: Progress


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: ``<run>/checkpoints``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: Arrays, progress: Progress, best: bool = False) -> None:
        """Writes ``last``, keeping the one before as ``previous``; also as ``best`` if asked.

        Raises:
            CheckpointError: it cannot be written, such as on a full disk; the checkpoints already there stay.
        """
        new = self.folder / ".new"
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            write_json(new / PROGRESS, _sealed({**progress.as_json(), _STATE_SHA: save_weights(new / STATE, state)}))
            if best:
                self._copy(new, "best")
            self._rotate(new)
            sync_folder(self.folder)
        except (OSError, GateworkError) as error:
            shutil.rmtree(new, ignore_errors=True)
            raise CheckpointError(f"cannot write a checkpoint to {self.folder}: {error}; the one before is kept") from error

    def load(self, name: str) -> Checkpoint:
        """The checkpoint of that name.

        Raises:
            CheckpointError: it is missing, truncated or altered; the file is named.
        """
        path = self.folder / name
        progress = self._progress(name)
        if not progress:
            raise CheckpointError(f"no checkpoint {path}")
        state, checksum = load_with_checksum(path / STATE)
        if progress.pop(_STATE_SHA, checksum) != checksum:
            raise CheckpointError(f"{path / STATE} is not the state that {path / PROGRESS} was written with")
        return Checkpoint(name, state, Progress.from_json(progress))

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """``last``, or ``previous`` where ``last`` is damaged; None where there is neither; see :meth:`first_whole`."""
        return self.first_whole(("last", "previous"), warn)

    def first_whole(self, names: Sequence[str], warn: Callable[[str], None]) -> Checkpoint | None:
        """The first of some checkpoints that is not damaged; None where there is none of them.

        Args:
            names: in the order of preference.
            warn: told of every damaged checkpoint before it.

        Raises:
            CheckpointError: checkpoints are there and all are damaged.
        """
        damaged: list[str] = []
        for name in names:
            if not os.path.lexists(self.folder / name):
                continue
            try:
                found = self._load_settled(name)
            except GateworkError as error:
                damaged.append(str(error))
                continue
            instead = "going on from the checkpoint before it" if name == "previous" else f"checkpoint '{name}' is used in its place"
            for message in damaged:
                warn(f"{message}; {instead}")
            return found
        if damaged:
            raise CheckpointError("; ".join(damaged) + "; start again with resume=never")
        return None

    def has(self, name: str) -> bool:
        """Whether a checkpoint of that name is there."""
        return (self.folder / name / PROGRESS).is_file()

    def step(self, name: str) -> int | None:
        """Optimizer steps done when the checkpoint of that name was written; None where there is none, or it is damaged."""
        try:
            progress = self._progress(name)
        except GateworkError:
            return None
        return int(progress["position"]["step"]) if progress else None

    def _progress(self, name: str) -> dict[str, Any]:
        path = self.folder / name / PROGRESS
        try:
            progress = read_file(path, CheckpointRecord)
        except RunError as error:
            raise CheckpointError(str(error)) from error
        seal = progress.pop(_SHA, None)  # older versions wrote none
        if seal is not None and seal != _sealed(progress)[_SHA]:
            raise CheckpointError(f"{path} was altered after it was written: its content does not match its checksum {seal[:8]}…")
        return progress

    def _load_settled(self, name: str) -> Checkpoint:
        """Loads twice where it must: a run that trains meanwhile may have put another checkpoint there at this moment."""
        try:
            return self.load(name)
        except CheckpointError:
            return self.load(name)

    def _rotate(self, new: Path) -> None:
        last, previous, old = self.folder / "last", self.folder / "previous", self.folder / ".old"
        shutil.rmtree(old, ignore_errors=True)
        if last.is_dir():
            if previous.is_dir():
                previous.rename(old)
            last.rename(previous)
        new.rename(last)
        shutil.rmtree(old, ignore_errors=True)

    def _copy(self, source: Path, name: str) -> None:
        target, part, old = self.folder / name, self.folder / f".{name}.new", self.folder / f".{name}.old"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for file in source.iterdir():
            _link_or_copy(file, part / file.name)
        shutil.rmtree(old, ignore_errors=True)
        if target.is_dir():
            target.rename(old)
        part.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _sealed(progress: Mapping[str, Any]) -> dict[str, Any]:
    """The values with their own checksum; a value that is null is none."""
    text = json.dumps({key: value for key, value in progress.items() if value is not None}, sort_keys=True)
    return {**progress, _SHA: hashlib.sha256(text.encode()).hexdigest()}


def _link_or_copy(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
