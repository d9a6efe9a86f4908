"""The task of an experiment, among those that come with Gatework and those of plug-ins."""

from __future__ import annotations

from framework.errors import InputError
from framework.spec.experiment import Experiment
from framework.tasks import image_captioning, language_model, translation  # noqa: F401 - make themselves known
from framework.tasks.task import TASKS, Task
from framework.tasks.writing import WritingTask


def task_of(experiment: Experiment) -> Task:
    """The task of an experiment.

    Raises:
        DataError: nothing registers it.
    """
    return TASKS.named(experiment.task.kind)


def writing_task(experiment: Experiment, written: str) -> WritingTask:
    """The task of an experiment whose models write something, such as ``translation`` or ``caption``.

    Raises:
        DataError: nothing registers it.
        InputError: its models write no such thing.
    """
    found = task_of(experiment)
    if not isinstance(found, WritingTask) or found.written != written:
        raise InputError(f"a model of task '{experiment.task.kind}' writes no {written}; use gatework predict")
    return found
