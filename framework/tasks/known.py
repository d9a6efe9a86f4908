"""The task of an experiment, among those that come with Gatework and those of plug-ins."""

from __future__ import annotations

from framework.spec.experiment import Experiment
from framework.tasks import language_model, translation  # noqa: F401 - make themselves known
from framework.tasks.task import TASKS, Task


def task_of(experiment: Experiment) -> Task:
    """The task of an experiment.

    Raises:
        DataError: nothing registers it.
    """
    return TASKS.named(experiment.task.kind)
