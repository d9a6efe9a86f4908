"""Which tracker a run has, and what every tracker does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from framework.errors import InputError
from framework.spec.experiment import Experiment
from framework.spec.tracking import TrackingSpec
from framework.tracking.address import whole_address

PARENT = "GATEWORK_PARENT_RUN"
"""Environment variable with the folder of the multirun that a run is a job of."""


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
        folder: the run's folder; its config and record are written already.
        experiment: its config.
        warn: told once when records cannot be delivered, or MLflow is not installed.
    """
    tracking = experiment.tracking
    if tracking.kind == "none":
        yield NoTracker()
        return
    from framework.tracking.installed import mlflow_is_installed

    if not mlflow_is_installed():
        warn("MLflow is not installed, so the run is recorded in its folder only: pip install 'gatework[mlflow]', or tracking=none")
        yield NoTracker()
        return
    from framework.tracking.courier import Courier
    from framework.tracking.outbox import mark_losses, store_uri

    mark_losses(folder)
    try:
        uri = whole_address(store_uri(folder, tracking))
    except InputError as error:
        warn(f"{error}; the run's folder keeps its records: gatework sync {folder}")
        yield NoTracker()
        return
    options = {
        "uri": uri,
        "timeout": tracking.timeout,
        "parent": os.environ.get(PARENT),
        "system_metrics": tracking.system_metrics,
    }
    courier = Courier(folder, options, warn)
    try:
        yield courier
    finally:
        courier.close()


def finish_multirun(folder: Path, status: str, error: str | None, warn: Callable[[str], None]) -> None:
    """Delivers how a multirun ended, if one of its jobs has been recorded.

    Args:
        folder: the multirun's folder.
        status: ``finished``, ``failed`` or ``killed``.
        error: what went wrong.
        warn: told once when it cannot be delivered.
    """
    from framework.tracking.courier import Courier
    from framework.tracking.note import Note

    try:
        uri = whole_address(Note(folder).get("uri"))
    except InputError as unknown:
        warn(f"{unknown}; then: gatework sync {folder}")
        return
    options = {"uri": uri, "timeout": TrackingSpec().timeout, "parent": None, "system_metrics": False}
    Courier(folder, options, warn).finish(status, error)
