"""Checkpoints that survive a kill: written whole, checked when read, with the one before at hand.

A checkpoint is a folder with ``state.safetensors`` (weights, optimizer slots, recurrent states, random state) and
``checkpoint.json`` (how far the training had come, and the checksum of the arrays). ``last`` is the latest, ``previous`` the one
before it, ``best`` the one with the lowest monitored value.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.training import Arrays, Position
from framework.engine.files import read_json, write_json
from framework.errors import CheckpointError, GateworkError
from framework.weights.store import load_weights, save_weights

STATE = "state.safetensors"
PROGRESS = "checkpoint.json"


@dataclass(frozen=True)
class Progress:
    """How far a training had come when a checkpoint was written.

    Attributes:
        position: epochs, batches and steps done.
        best: lowest monitored value so far, in nats a token.
        best_epoch: epoch that reached it, counted from 1.
        stopping_best: lowest value that early stopping has seen.
        waited: epochs since then.
        loss_sum: sum of the losses of the unfinished epoch's batches.
        seconds: training time so far.
    """

    position: Position
    best: float | None = None
    best_epoch: int | None = None
    stopping_best: float | None = None
    waited: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``checkpoint.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Progress:
        """The reverse of :meth:`as_json`."""
        return cls(**{**value, "position": Position(**value["position"])})


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
            save_weights(new / STATE, state)
            write_json(new / PROGRESS, progress.as_json())
            if best:
                self._copy(new, "best")
            self._rotate(new)
        except (OSError, GateworkError) as error:
            shutil.rmtree(new, ignore_errors=True)
            raise CheckpointError(f"cannot write a checkpoint to {self.folder}: {error}; the one before is kept") from error

    def load(self, name: str) -> Checkpoint:
        """The checkpoint of that name.

        Raises:
            CheckpointError: it is missing, truncated or altered; the file is named.
        """
        path = self.folder / name
        progress = read_json(path / PROGRESS)
        if progress is None:
            raise CheckpointError(f"no checkpoint {path}")
        try:
            return Checkpoint(name, load_weights(path / STATE), Progress.from_json(progress))
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path / PROGRESS} is not a checkpoint's: {error}") from error

    def latest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """``last``, or ``previous`` where ``last`` is damaged; None where there is neither.

        Args:
            warn: told of every damaged checkpoint.

        Raises:
            CheckpointError: checkpoints are there and all are damaged.
        """
        damaged: list[str] = []
        for name in ("last", "previous"):
            if not (self.folder / name).is_dir():
                continue
            try:
                found = self.load(name)
            except GateworkError as error:
                damaged.append(str(error))
                continue
            for message in damaged:
                warn(f"{message}; going on from the checkpoint before it")
            return found
        if damaged:
            raise CheckpointError("; ".join(damaged) + "; start again with resume=never")
        return None

    def has(self, name: str) -> bool:
        """Whether a checkpoint of that name is there."""
        return (self.folder / name / PROGRESS).is_file()

    def step(self, name: str) -> int | None:
        """Optimizer steps done when the checkpoint of that name was written; None where there is none."""
        progress = read_json(self.folder / name / PROGRESS)
        return None if progress is None else int(progress["position"]["step"])

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


def _link_or_copy(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)
