"""The batch that a configuration is tried on, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trial:
    """Arrays in the order that the layer reads: time first with ``time_major``.

    Attributes:
        inputs: ``(batch, time, features) float32``.
        mask: ``(batch, time) bool``, or None.
        gradient: that of the loss by the output, ``(batch, time, units) float32``.
    """

    inputs: np.ndarray[Any, Any]
    mask: np.ndarray[Any, Any] | None
    gradient: np.ndarray[Any, Any]


def make_batch(shape: tuple[int, int, int, int], mask: str | None, time_major: bool) -> Trial:
    """Random inputs with a mask of the wanted pattern.

    Args:
        shape: (batch, time, features, units).
        mask: ``right``, ``left``, ``any``, ``empty row``, or None.
        time_major: whether time comes first.
    """
    batch, time, features, units = shape
    random = np.random.default_rng(0)
    lengths, steps = random.integers(1, time + 1, (batch, 1)), np.arange(time)[None]
    patterns = {"right": steps < lengths, "left": steps >= time - lengths, "any": random.random((batch, time)) < 0.7}
    patterns["empty row"] = patterns["right"] & (np.arange(batch) > 0)[:, None]
    arrays = [
        random.normal(size=(batch, time, features)).astype(np.float32),
        None if mask is None else patterns[mask],
        random.normal(size=(batch, time, units)).astype(np.float32),
    ]
    inputs, chosen, gradient = [None if one is None else one.swapaxes(0, 1).copy() if time_major else one for one in arrays]
    assert inputs is not None and gradient is not None
    return Trial(inputs, chosen, gradient)
