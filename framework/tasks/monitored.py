"""Which values of an epoch a training can be judged by, and which of two is the better."""

from __future__ import annotations

from dataclasses import dataclass

from framework.errors import nearest
from framework.spec.problems import ProblemCollector, choices, render
from framework.spec.trainer import TrainerSpec
from framework.tasks.task import Task

AUTO = "auto"
"""In place of a name: the validation's loss where there is validation, else the training's."""


@dataclass(frozen=True)
class Monitored:
    """A value of each epoch that decides something.

    Attributes:
        name: as it is recorded: ``loss``, ``val_loss``, or ``val_`` with a measure or a score of the task.
        highest: whether the highest is the best; else the lowest is.
        score: whether predictions have to be made for it.
    """

    name: str
    highest: bool = False
    score: bool = False

    def improves(self, value: float, best: float | None, by: float = 0.0) -> bool:
        """Whether a value is better than the best so far by more than so much; summed as Lightning and Keras do."""
        if best is None:
            return True
        return value - by > best if self.highest else value + by < best


def monitors(task: Task) -> dict[str, Monitored]:
    """Every value that trainings for a task can be judged by, by its name."""
    found = [Monitored("loss"), Monitored("val_loss")]
    found += [Monitored(f"val_{name}", highest=best == "max") for name, best in task.measures.items()]
    found += [Monitored(f"val_{name}", highest=True, score=True) for name in task.score_names]
    return {one.name: one for one in found}


def best_by(task: Task, trainer: TrainerSpec, validates: bool) -> Monitored:
    """What decides which checkpoint is the best.

    Args:
        task: what is trained for.
        trainer: its settings, checked.
        validates: whether there is validation.
    """
    name = trainer.checkpoint.monitor
    if name == AUTO:
        name = "val_loss" if validates else "loss"
    return monitors(task)[name]


def stopped_by(task: Task, trainer: TrainerSpec) -> Monitored | None:
    """What decides when to stop early; None where nothing does."""
    return None if trainer.early_stopping is None else monitors(task)[trainer.early_stopping.monitor]


def check_monitors(task: Task, trainer: TrainerSpec, collector: ProblemCollector) -> None:
    """Adds a problem for each monitored value that is none of the task's."""
    known = list(monitors(task))
    asked = {"trainer.checkpoint.monitor": (trainer.checkpoint.monitor, [AUTO, *known])}
    if trainer.early_stopping is not None:
        asked["trainer.early_stopping.monitor"] = (trainer.early_stopping.monitor, known)
    for path, (name, names) in asked.items():
        if name not in names:
            close = nearest(name, names) or nearest(f"val_{name}", names)
            collector.add(path, "no such value", value=render(name), expected=choices(names), suggestion=close)
