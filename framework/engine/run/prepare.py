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
from framework.tasks.model import Model
from framework.tasks.task import Task
from framework.weights.initializers import initial_weights


@dataclass(frozen=True)
class Prepared:
    """An experiment with its data at hand.

    Attributes:
        experiment: sizes and what else the data tells filled in.
        data: processor, sizes, batches.
        plan: the model's plan.
        task: what the model is trained for.
    """

    experiment: Experiment
    data: PreparedData
    plan: ModelPlan
    task: Task

    def model(self, trainee: Trainee) -> Model:
        """What the task makes predictions and samples with: the model as it is now.

        To be asked for anew once it was trained on: its decoding step has the weights of the first use.
        """
        return Model(self.experiment, self.plan, self.data.processor, trainee, self.task.decoded(self.plan))


def prepare_experiment(experiment: Experiment, locate: Locate = nowhere) -> Prepared:
    """Reads the data, fills its sizes into the model and plans it.

    Raises:
        DataError: the data is missing, unreadable or too short, or its sizes are not the declared ones.
        SpecError: the model does not fit the data or the task.
    """
    return with_data(experiment, prepare(experiment.data, experiment.paths, experiment.seed), locate)


def with_data(experiment: Experiment, data: PreparedData, locate: Locate = nowhere) -> Prepared:
    """Fills what data tells, such as its sizes, into the config and plans the model.

    Raises:
        SpecError: the model does not fit the data or the task.
    """
    task = task_of(experiment)
    filled = task.completed(with_sizes(experiment, data.sizes, locate), data)
    return Prepared(filled, data, plan_experiment(filled, data.sizes, locate), task)


@dataclass(frozen=True)
class KnownData:
    """What can be told of data without a download.

    Attributes:
        sizes: by name.
        lengths: steps of a batch's model inputs, by name.
        source: where from: ``declared`` in the config, ``read`` from what is at hand, or ``unknown``.
    """

    sizes: Mapping[str, int]
    lengths: Mapping[str, int]
    source: str


def known_data(experiment: Experiment) -> KnownData:
    """The sizes that can be told without a download and without minutes of work.

    So are the lengths, as far as they can; those of the first batch where the data is read.

    Raises:
        DataError: the data has to be read for that, and cannot be.
    """
    sizes, lengths = experiment.data.known_sizes(), experiment.data.known_lengths()
    if set(sizes) >= set(experiment.data.size_names):
        return KnownData(sizes, lengths, "declared")
    if not (experiment.data.at_hand and experiment.data.quick):
        return KnownData(sizes, lengths, "unknown")
    data = prepare(experiment.data, experiment.paths, experiment.seed)
    inputs = next(iter(data.train.epoch(0))).inputs
    read = {name: value.shape[1] for name, value in inputs.items() if value.ndim > 1}
    return KnownData(data.sizes, {**read, **lengths}, "read")


def build_trainee(prepared: Prepared, weights: Mapping[str, Any] | None = None) -> tuple[Backend, Trainee]:
    """The native model of a prepared experiment, on the experiment's backend.

    Args:
        prepared: experiment, data and plan.
        weights: by ``layer/weight``; Keras' initial weights for the experiment's seed when not given.
    """
    start = weights if weights is not None else initial_weights(prepared.plan)
    return build_on_backend(prepared.experiment, prepared.plan, start)
