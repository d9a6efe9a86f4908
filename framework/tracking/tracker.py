"""What a tracker does, and which one a run has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from framework.spec.experiment import Experiment


class TrackedFolder(Protocol):
    """What a tracker needs of a run's folder; :class:`framework.engine.folder.RunFolder` is one."""


class Tracker(Protocol):
    """Delivers what a run records to somewhere else; never stops a run."""

    def finish(self, status: str, error: str | None = None) -> None:
        """The run has ended as ``finished``, ``stopped``, ``failed`` or ``killed``."""
        ...


class NoTracker:
    """The run's folder alone."""

    def finish(self, status: str, error: str | None = None) -> None:
        """Nothing."""


@contextmanager
def open_tracker(folder: TrackedFolder, experiment: Experiment, warn: Callable[[str], None]) -> Iterator[Tracker]:
    """The tracker that ``tracking.kind`` names, open for one stretch of training."""
    yield NoTracker()
