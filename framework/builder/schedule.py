"""The learning rate by optimizer step: a linear warm-up, then constant or a decay."""

from __future__ import annotations

import math
from collections.abc import Callable

from framework.spec.optimizer import OptimizerSpec, ScheduleSpec


def learning_rate(spec: OptimizerSpec, total_steps: int) -> Callable[[int], float]:
    """The rate that each step uses.

    Args:
        spec: base rate and schedule.
        total_steps: optimizer steps of the whole training, for a decay without a length of its own.

    Returns:
        A function from the step, counted from 0, to the rate.
    """
    schedule = spec.schedule
    decay_steps = schedule.decay_steps or max(1, total_steps - schedule.warmup_steps)

    def rate(step: int) -> float:
        if step < schedule.warmup_steps:
            return spec.learning_rate * (step + 1) / schedule.warmup_steps
        return spec.learning_rate * _decay(schedule, step - schedule.warmup_steps, decay_steps)

    return rate


def _decay(schedule: ScheduleSpec, step: int, decay_steps: int) -> float:
    """Share of the base rate, ``step`` steps after the warm-up."""
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "exponential":
        return float(schedule.decay_rate ** (step / decay_steps))
    if schedule.kind == "inverse_sqrt":
        start = max(1, schedule.warmup_steps)
        return math.sqrt(start / (start + step))
    done = min(1.0, step / decay_steps)
    left = 0.5 * (1.0 + math.cos(math.pi * done)) if schedule.kind == "cosine" else 1.0 - done
    return schedule.final_fraction + (1.0 - schedule.final_fraction) * left
