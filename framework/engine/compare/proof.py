"""Proof of a plan's cuDNN verdicts: the model is built, run once, and watched."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from framework.backends.base.proof import kernel_of, watched_layers
from framework.engine.run.prepare import build_trainee, prepare_experiment
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere


@dataclass(frozen=True)
class Proof:
    """What one layer ran on.

    Attributes:
        layer: its name.
        eligible: whether its verdict is cuDNN, on a GPU.
        kernel: what it ran on, on this machine: ``cuDNN``, ``torch's own kernel`` or ``scan``.
    """

    layer: str
    eligible: bool
    kernel: str


def prove_verdicts(experiment: Experiment, locate: Locate = nowhere) -> list[Proof]:
    """For each GRU the verdict, and the kernel that it ran on here.

    Raises:
        GateworkError: the data cannot be read, or the model cannot be built.
    """
    name = experiment.backend.name
    prepared = prepare_experiment(experiment, locate)
    _, trainee = build_trainee(prepared)
    batch = next(iter(prepared.data.train.epoch(0)))
    layers = watched_layers(prepared.plan)
    seen = import_module(f"framework.backends.{name}.proof").operators_by_layer(trainee, layers, batch.inputs)
    return [Proof(layer, prepared.plan.layer(layer).cudnn[name].eligible, kernel_of(seen[layer])) for layer in layers]
