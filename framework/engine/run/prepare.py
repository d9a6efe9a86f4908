"""From a validated experiment to everything that training needs: data, sizes filled in, plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.backends.base.backend import Backend, Trainee
from framework.builder.plan import ModelPlan
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.engine.run.building import build_on_backend
from framework.engine.run.planning import plan_experiment, with_sizes
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere
from framework.tasks.known import task_of
from framework.tasks.task import Task
from framework.weights.initializers import initial_weights


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data at hand.

    Attributes:
        experiment: sizes filled in.
        data: processor, sizes, batches.
        plan: the model's plan.
        task: what the model is trained for.
    """

    experiment: Experiment
    data: PreparedData
    plan: ModelPlan
    task: Task


def prepare_experiment(experiment: Experiment, locate: Locate = nowhere) -> Prepared:
    """Reads the data, fills its sizes into the model and plans it.

    Raises:
        DataError: the data is missing, unreadable or too short, or its sizes are not the declared ones.
        SpecError: the model does not fit the data or the task.
    """
    return with_data(experiment, prepare(experiment.data, experiment.paths, experiment.seed), locate)


def with_data(experiment: Experiment, data: PreparedData, locate: Locate = nowhere) -> Prepared:
    """Fills the sizes of data into the model and plans it.

    Raises:
        SpecError: the model does not fit the data or the task.
    """
    filled = with_sizes(experiment, data.sizes, locate)
    return Prepared(filled, data, plan_experiment(filled, data.sizes, locate), task_of(experiment))


def local_sizes(experiment: Experiment) -> tuple[dict[str, int], str]:
    """The sizes that can be told without a download, and where from: ``declared`` in the config, or ``read`` from what is at hand.

    Raises:
        DataError: the data has to be read for that, and cannot be.
    """
    sizes = experiment.data.known_sizes()
    if set(sizes) >= set(experiment.data.size_names):
        return sizes, "declared"
    if not experiment.data.at_hand:
        return sizes, "unknown"
    return dict(prepare(experiment.data, experiment.paths, experiment.seed).sizes), "read"


def build_trainee(prepared: Prepared, weights: Mapping[str, Any] | None = None) -> tuple[Backend, Trainee]:
    """The native model of a prepared experiment, on the experiment's backend.

    Args:
        prepared: experiment, data and plan.
        weights: by ``layer/weight``; Keras' initial weights for the experiment's seed when not given.
    """
    start = weights if weights is not None else initial_weights(prepared.plan)
    return build_on_backend(prepared.experiment, prepared.plan, start)
