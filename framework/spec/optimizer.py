"""Optimizers and learning-rate schedules, with the same constants and the same formulas on both backends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from framework.spec.base import Spec

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class ScheduleSpec(Spec):
    """How the learning rate changes: a linear warm-up, then a decay. Source: Keras documentation, "Learning rate schedules"."""

    kind: Literal["constant", "exponential", "cosine", "linear", "inverse_sqrt"] = "constant"
    """Shape of the decay after the warm-up."""

    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises from 0 to ``learning_rate``."""

    decay_steps: int | None = Field(None, gt=0)
    """Steps of the decay; the rest of the training when not given (exponential: one ``decay_rate`` each so many steps)."""

    decay_rate: float = Field(0.96, gt=0.0, le=1.0)
    """Factor of the exponential decay."""

    final_fraction: float = Field(0.0, ge=0.0, le=1.0)
    """Share of ``learning_rate`` that cosine and linear end with."""


class OptimizerSpec(Spec):
    """What every optimizer shares."""

    kind: str
    """Name of the optimizer."""

    learning_rate: float = Field(1e-3, gt=0.0)
    """Step size, before the schedule."""

    schedule: ScheduleSpec = ScheduleSpec()
    """How the step size changes."""


class AdamSpec(OptimizerSpec):
    """Adam, Kingma and Ba 2014, with epsilon where Keras has it ("epsilon hat" of section 2)."""

    kind: Literal["adam"] = "adam"
    beta_1: Fraction = 0.9
    """Decay of the mean of the gradients."""
    beta_2: Fraction = 0.999
    """Decay of the mean of the squared gradients."""
    epsilon: float = Field(1e-7, gt=0.0)
    """Added to the root of the squared gradients' mean."""


class AdamWSpec(AdamSpec):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2017."""

    kind: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: float = Field(0.004, ge=0.0)
    """Share of each weight taken off a step, times the learning rate."""


class SGDSpec(OptimizerSpec):
    """Gradient descent, with momentum as Keras writes it (the velocity holds the learning rate)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = Field(0.01, gt=0.0)
    momentum: Fraction = 0.0
    """Share of the velocity that is kept."""
    nesterov: bool = False
    """Look ahead along the velocity."""


class RMSpropSpec(OptimizerSpec):
    """RMSprop, Hinton 2012, with epsilon inside the root, as Keras has it."""

    kind: Literal["rmsprop"] = "rmsprop"
    rho: Fraction = 0.9
    """Decay of the mean of the squared gradients."""
    momentum: Fraction = 0.0
    """Share of the velocity that is kept."""
    epsilon: float = Field(1e-7, gt=0.0)
    """Added to the mean of the squared gradients."""
    centered: bool = False
    """Take the mean gradient's square off."""


OPTIMIZER_KINDS: dict[str, type[OptimizerSpec]] = {"adam": AdamSpec, "adamw": AdamWSpec, "sgd": SGDSpec, "rmsprop": RMSpropSpec}
"""Optimizers by name."""
