"""From an experiment's plan to its native model: the backend is imported and set up, then it builds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.backends.base.backend import Backend, Trainee
from framework.backends.base.registry import load_backend
from framework.builder.plan import ModelPlan
from framework.spec.experiment import Experiment
from framework.tasks.known import task_of


def build_on_backend(experiment: Experiment, plan: ModelPlan, weights: Mapping[str, Any]) -> tuple[Backend, Trainee]:
    """The native model of a plan with the given weights, on the experiment's backend.

    Args:
        experiment: its backend, seed, trainer and task count here.
        plan: the model's plan.
        weights: by ``layer/weight``.

    Raises:
        BackendUnavailable: its libraries are not installed, or its device is not there.
        UnsupportedArgument: it cannot honour an argument; layer and argument are named.
        CheckpointError: the weights are not those of the plan.
    """
    backend = load_backend(experiment.backend.name)
    backend.configure(experiment.backend, experiment.seed)
    objective = task_of(experiment).objective(experiment)
    return backend, backend.build(plan, weights, experiment.trainer, experiment.backend, objective)
