"""Whether a model can be decoded token by token, where its task wants that."""

from __future__ import annotations

from framework.builder.plan import ModelPlan
from framework.builder.step import decoding_obstacles
from framework.spec.experiment import Experiment
from framework.tasks.known import task_of


def obstacles(experiment: Experiment, plan: ModelPlan) -> dict[str, str] | None:
    """Why a model cannot be decoded, by the layer's name; empty where it can. None where the task decodes nothing.

    A model with obstacles can be trained and measured all the same.
    """
    decoded = task_of(experiment).decoded(plan)
    return None if decoded is None else decoding_obstacles(plan, decoded)


def obstacle_lines(experiment: Experiment, plan: ModelPlan) -> list[str]:
    """The same for people, a line each."""
    found = obstacles(experiment, plan) or {}
    return [f"layer '{name}': {reason}" if name != "model.inputs" else f"{name}: {reason}" for name, reason in found.items()]
