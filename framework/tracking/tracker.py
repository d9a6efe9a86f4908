"""Which tracker a run has, and what every tracker does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from framework.spec.experiment import Experiment


class Tracker(Protocol):
    """Delivers what a run records in its folder to somewhere else. Never stops a run, and never slows it down."""

    def finish(self, status: str, error: str | None = None) -> None:
        """The run has ended as ``finished``, ``stopped``, ``failed`` or ``killed``; delivers the rest, if that can be done soon."""
        ...


class NoTracker:
    """The run's folder alone."""

    def finish(self, status: str, error: str | None = None) -> None:
        """Nothing."""


@contextmanager
def open_tracker(folder: Path, experiment: Experiment, warn: Callable[[str], None]) -> Iterator[Tracker]:
    """The tracker that ``tracking.kind`` names, open for one stretch of training.

    Args:
        folder: the run's folder.
        experiment: its config.
        warn: told once when records cannot be delivered, or MLflow is not installed.
    """
    if experiment.tracking.kind == "none":
        yield NoTracker()
        return
    from framework.tracking.installed import mlflow_is_installed

    if not mlflow_is_installed():
        warn("MLflow is not installed, so the run is recorded in its folder only: pip install 'gatework[mlflow]', or tracking=none")
        yield NoTracker()
        return
    from framework.tracking.outbox import Outbox
    from framework.tracking.worker import DeliveryWorker

    worker = DeliveryWorker(Outbox(folder, experiment), experiment.tracking.timeout, warn)
    try:
        yield worker
    finally:
        worker.close()
