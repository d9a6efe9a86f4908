"""The learning rate by optimizer step, one formula for both backends."""

from __future__ import annotations

import math
from collections.abc import Callable

from framework.errors import InputError
from framework.spec.optimizer import OptimizerSpec, ScheduleSpec


def learning_rate(spec: OptimizerSpec, total_steps: int) -> Callable[[int], float]:
    """The learning rate as a function of the optimizer step, counted from 0.

    Over ``warmup_steps`` the rate rises in a straight line from 0 at step 0 to ``spec.learning_rate``. With d steps since then, at most
    the n of the decay, it is that rate times

    - constant: 1
    - exponential: ``decay_rate ** (d / decay_steps)``, without an end
    - cosine: ``(1 - f) * (1 + cos(pi * d / n)) / 2 + f`` with f = ``final_fraction``
    - linear: ``(1 - f) * (1 - d / n) + f``
    - inverse_sqrt: ``sqrt(w / (w + d))`` with w = ``warmup_steps``, at least 1

    n is ``decay_steps``, or the rest of the training when not given; after it the rate stays.

    Args:
        spec: rate and schedule.
        total_steps: optimizer steps of the whole training.

    Returns:
        A function from step to rate; defined beyond ``total_steps`` too.

    Raises:
        InputError: there is no step to train.

    Source: Keras 3 documentation, "Learning rate schedules" (CosineDecay with ``warmup_target``, PolynomialDecay of power 1,
    ExponentialDecay); Vaswani et al. 2017, section 5.3, for inverse_sqrt.
    """
    schedule = spec.schedule
    if total_steps < 1:
        raise InputError(f"the training has {total_steps} steps; expected at least 1")
    warmup, decay = schedule.warmup_steps, _DECAYS[schedule.kind]
    # A training may end within its warm-up, such as a small one for debugging.
    length = schedule.decay_steps or max(total_steps - warmup, 1)
    peak = spec.learning_rate

    def rate(step: int) -> float:
        if step < warmup:
            return peak * step / warmup
        return peak * decay(schedule, step - warmup, length)

    return rate


def _constant(_schedule: ScheduleSpec, _step: int, _length: int) -> float:
    return 1.0


def _exponential(schedule: ScheduleSpec, step: int, length: int) -> float:
    return math.pow(schedule.decay_rate, step / length)


def _cosine(schedule: ScheduleSpec, step: int, length: int) -> float:
    left = (1 + math.cos(math.pi * min(step / length, 1.0))) / 2
    return (1 - schedule.final_fraction) * left + schedule.final_fraction


def _linear(schedule: ScheduleSpec, step: int, length: int) -> float:
    left = 1 - min(step / length, 1.0)
    return (1 - schedule.final_fraction) * left + schedule.final_fraction


def _inverse_sqrt(schedule: ScheduleSpec, step: int, length: int) -> float:
    start = max(schedule.warmup_steps, 1)
    return math.sqrt(start / (start + min(step, length)))


_DECAYS: dict[str, Callable[[ScheduleSpec, int, int], float]] = {
    "constant": _constant,
    "exponential": _exponential,
    "cosine": _cosine,
    "linear": _linear,
    "inverse_sqrt": _inverse_sqrt,
}
