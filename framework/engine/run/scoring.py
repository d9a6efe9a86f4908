"""What a model predicts for examples, against what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from framework.data.prepared import Example
from framework.metrics.score import Score
from framework.report.predictions import Judged
from framework.tasks.model import Model
from framework.tasks.scored import scored
from framework.tasks.task import Task


@dataclass(frozen=True)
class Scored:
    """What was found.

    Attributes:
        figures: of all examples, by name.
        measure: name of the figure of each example; None where it has none.
        judged: each example with its own figure.
    """

    figures: Mapping[str, Score]
    measure: str | None
    judged: Sequence[Judged]


def score_examples(task: Task, model: Model, examples: Sequence[Example]) -> Scored:
    """Predicts examples as the config says, and scores them.

    Args:
        task: the model's.
        model: trained.
        examples: raw inputs with all right answers, one at least.

    Raises:
        InputError: an extra that the scores need is not installed.
    """
    predictions, figures = scored(task, model, examples)
    each = task.score_each(model, predictions, [one.references for one in examples])
    if each is None:
        return Scored(figures, None, ())
    measure, scores = each
    rows = zip(examples, predictions, scores, strict=True)
    judged = [
        Judged(example.shown, _shown(prediction), [str(one) for one in example.references], score, partial(task.photo, example.inputs))
        for example, prediction, score in rows
    ]
    return Scored(figures, measure, judged)


def _shown(row: Mapping[str, object]) -> str:
    return " / ".join(str(value) for value in row.values())
