"""Scores of what a model makes of held-out examples while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from framework.backends.base.backend import Trainee
from framework.engine.run.prepare import Prepared
from framework.errors import GateworkError, InputError
from framework.tasks.monitored import Monitored, best_by, stopped_by
from framework.tasks.scored import scored

Scores = Callable[[], dict[str, float]]
"""Gives the scores of the model as it is now, by name."""


def score_maker(prepared: Prepared, trainee: Trainee) -> Scores:
    """A function that predicts and scores held-out examples; it gives nothing, at no cost, where no score is monitored.

    Tokens are chosen greedily, whatever the config says of the finished model. One example is tried at once: what would keep the scores
    from being made is told before the training.

    Args:
        prepared: the experiment with its data.
        trainee: the model.

    Raises:
        InputError: there are no examples to score, or they cannot be scored.
    """
    task, experiment, data = prepared.task, prepared.experiment, prepared.data
    monitored = _monitored_score(prepared)
    if monitored is None:
        return dict
    examples = data.examples.get("validation", ())[: experiment.trainer.limit_scored_examples]
    if not examples:
        raise InputError(f"{monitored.name} cannot be monitored: data of kind '{experiment.data.kind}' holds out no examples to score")
    greedy = experiment.decoding.model_copy(update={"strategy": "greedy", "n_best": 1})
    deciding = replace(prepared, experiment=experiment.model_copy(update={"decoding": greedy}))

    def scores(limit: int | None = None) -> dict[str, float]:
        _, found = scored(task, deciding.model(trainee), examples[:limit])
        return {name: one.value for name, one in found.items()}

    try:
        scores(1)
    except GateworkError as error:
        raise InputError(f"{monitored.name} cannot be monitored: {error}") from error
    return scores


def _monitored_score(prepared: Prepared) -> Monitored | None:
    """A score that something is judged by, or None."""
    trainer = prepared.experiment.trainer
    judging = (best_by(prepared.task, trainer, prepared.data.validation is not None), stopped_by(prepared.task, trainer))
    return next((one for one in judging if one is not None and one.score), None)
