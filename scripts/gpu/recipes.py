"""Training steps of whole recipes on the GPU and on the CPU: from the same weights, on the same batches, so with the same losses."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.step import Turns, prepared_recipe

RECIPES = ("text_generation", "translation", "captioning_scenes")
"""Without dropout, whose masks each device draws in its own way; the last two have an attention decoder."""

STEPS = 10
TOLERANCE = 1e-3
"""Largest difference of a step's loss between the devices, relative to it: what parity of backends is held to as well."""

_NOT_TIMED = 3


def check(recipe: str, backend: str, cpu: bool) -> dict[str, Any]:
    """One recipe: the largest difference of a loss, and the median milliseconds of a step, its batch and its loss read back included.

    Raises:
        InputError: the recipe's data cannot be had here.
    """
    losses, seconds, parameters = _trained(recipe, backend, "cpu" if cpu else "gpu")
    expected, cpu_seconds, _ = _trained(recipe, backend, "cpu")
    difference = max(abs(one - other) / abs(other) for one, other in zip(losses, expected, strict=True))
    return {
        "parameters": parameters,
        "difference": difference,
        "ms": seconds * 1e3,
        "reference_ms": cpu_seconds * 1e3,
        "ok": difference <= TOLERANCE,
    }


def _trained(recipe: str, backend: str, device: str) -> tuple[list[float], float, int]:
    """Losses of the first steps, the median seconds of those that are timed, and the number of parameters."""
    words = [f"backend.device={device}", "trainer.log_every_n_steps=1"]
    losses, seconds = [], []
    prepared = prepared_recipe(recipe, backend, words)
    with Turns(prepared, STEPS) as turns:
        for _ in range(STEPS):
            seconds.append(turns.step())
            losses.append(turns.result.loss)
    return losses, statistics.median(seconds[_NOT_TIMED:]), prepared.plan.parameters
