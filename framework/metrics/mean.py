"""A mean over many values that neither their order nor an interruption changes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class RunningMean:
    """Weighted mean whose sums are exact, so the mean is the right one to the last bit of float64.

    The sum is kept as a few float64 that do not overlap. What was added in another order, or in two parts around a checkpoint, gives the
    same bits.

    Source: Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic", section 2.4 (grow-expansion), as in Python's ``math.fsum``.
    """

    def __init__(self) -> None:
        self._values: list[float] = []
        self._weights: list[float] = []

    def add(self, value: float, weight: float = 1.0) -> None:
        """Adds one value; ``weight`` is how much it counts, such as the number of tokens that it is the mean of.

        Raises:
            ValueError: the weight is negative or not finite.
        """
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight is {weight}; expected a finite number from 0 on")
        _grow(self._values, value * weight)
        _grow(self._weights, float(weight))

    @property
    def weight(self) -> float:
        """Sum of the weights."""
        return math.fsum(self._weights)

    @property
    def mean(self) -> float:
        """The mean so far; NaN where nothing was added."""
        weight = self.weight
        return math.fsum(self._values) / weight if weight > 0 else math.nan

    def state(self) -> NDArray[np.float64]:
        """Everything that going on needs, ``(n,) float64``, for a checkpoint."""
        return np.array([len(self._values), *self._values, *self._weights], np.float64)

    @classmethod
    def from_state(cls, state: NDArray[np.float64]) -> RunningMean:
        """The reverse of :meth:`state`."""
        made = cls()
        count, *sums = state.tolist()
        made._values, made._weights = sums[: int(count)], sums[int(count) :]
        return made


def _grow(parts: list[float], value: float) -> None:
    """Adds a number to a sum held as parts from small to large that do not overlap, without any rounding."""
    if not all(map(math.isfinite, (value, *parts))):
        # Nothing finite comes back from here, and the errors below would be NaN.
        parts[:] = [sum(parts) + value]
        return
    kept = 0
    for part in parts:
        large, small = (value, part) if abs(value) >= abs(part) else (part, value)
        value = large + small
        error = small - (value - large)
        if error:
            parts[kept] = error
            kept += 1
    parts[kept:] = [value]
