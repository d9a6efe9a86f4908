"""What a step costs each of several processes, and what they tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from framework.builder.costs import LayerCost, model_cost
from framework.builder.plan import ModelPlan
from framework.spec.experiment import Experiment

_SLOTS = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}
"""Values that an optimizer keeps for each weight, but for its momentum, and for the mean that a centered one keeps."""


@dataclass(frozen=True)
class Exchange:
    """A training step of several processes.

    Attributes:
        processes: how many.
        rows: of the process that has most.
        cost: of its share of a step.
        kept_bytes: weights, their gradients and the optimizer's values, which every process has whole.
        gradient_bytes: gradients of the trained weights, which are added up at each step.
        sent_bytes: what each process sends of them, and receives: an all-reduce in a ring.
    """

    processes: int
    rows: int
    cost: LayerCost
    kept_bytes: int
    gradient_bytes: int
    sent_bytes: int


def exchange_of(experiment: Experiment, plan: ModelPlan, costs: ModelPlan) -> Exchange | None:
    """The exchange of an experiment; None where one process trains.

    Args:
        experiment: the config.
        plan: of its model.
        costs: the same, its inputs as long as those of a batch.

    Source: Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations", for what a ring sends.
    """
    trainer = experiment.trainer
    processes = trainer.processes
    if processes == 1:
        return None
    batch_size = experiment.data.batch_size
    rows = -(-batch_size // processes)
    whole = model_cost(costs, batch_size, 1)
    width = 8 if trainer.precision == "64-true" else 4
    trained = sum(layer.parameters for layer in plan.layers if getattr(layer.spec, "trainable", True))
    slots = _SLOTS.get(experiment.optimizer.kind, 0) + (1 if getattr(experiment.optimizer, "momentum", 0.0) else 0)
    slots += 1 if getattr(experiment.optimizer, "centered", False) else 0
    gradients = trained * width
    return Exchange(
        processes,
        rows,
        LayerCost(whole.flops * rows // batch_size, whole.activation_bytes * rows // batch_size),  # stateful models plan the whole batch
        plan.parameters * width + trained * width * (1 + slots),
        gradients,
        2 * gradients * (processes - 1) // processes,
    )
