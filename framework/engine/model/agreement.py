"""Whether two models compute the same on a batch: convert and import hold a new model against the one that it was made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from framework.errors import ParityError

TOLERANCE = 1e-5
"""Largest allowed difference of an output, as a share of the largest absolute value of that output."""


def compare_outputs(one: Mapping[str, NDArray[np.generic]], other: Mapping[str, NDArray[np.generic]], names: tuple[str, str]) -> float:
    """The largest difference between two models' outputs on a batch, as a share of the first's largest absolute value.

    Args:
        one: a model's outputs by name.
        other: another one's, with the same names.
        names: what the two are called in the message.

    Raises:
        ParityError: it is more than :data:`TOLERANCE`, or not a number; a table shows each output.
    """
    rows = [("output", "shape", *(f"largest of {name}" for name in names), "difference", "share")]
    worst = 0.0
    for output, values in one.items():
        first, second = values.astype(np.float64), other[output].astype(np.float64)
        largest = float(np.abs(first).max(initial=0.0))
        difference = float(np.abs(first - second).max(initial=0.0)) if first.shape == second.shape else np.inf
        share = difference / largest if largest else difference
        worst = max(worst, share) if np.isfinite(share) else np.inf
        numbers = [largest, float(np.abs(second).max(initial=0.0)), difference, share]
        rows.append((output, str(values.shape), *(f"{number:.3g}" for number in numbers)))
    if worst <= TOLERANCE:
        return worst
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = f"the models of {names[0]} and {names[1]} disagree by more than {TOLERANCE:g} of the outputs; nothing was written"
    raise ParityError("\n".join([title, *table]))
