"""Examples predicted and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from framework.metrics.score import Score
from framework.tasks.model import Model
from framework.tasks.task import Row, Task

if TYPE_CHECKING:
    from framework.data.prepared import Example


def scored(task: Task, model: Model, examples: Sequence[Example]) -> tuple[list[Row], Mapping[str, Score]]:
    """What a model predicts for examples, as its config says, and the figures of that.

    Args:
        task: the model's.
        model: as it is now.
        examples: raw inputs with all right answers, one at least.

    Raises:
        InputError: an extra that the scores need is not installed.
        UnsupportedArgument: the model cannot be decoded step by step.
    """
    predictions = task.predict(model, [one.inputs for one in examples], {}, model.experiment.seed)
    figures = task.score(model, predictions, [one.references for one in examples])
    return predictions, {**figures, **task.score_regions(model, examples)}
