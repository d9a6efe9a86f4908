"""Numbers as people read them in tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

_BACKENDS = {"torch": "PyTorch Lightning", "tensorflow": "TensorFlow/Keras"}


def backend_title(name: str) -> str:
    """``PyTorch Lightning`` for ``torch``."""
    return _BACKENDS.get(name, name)


def figure(value: float) -> str:
    """``4,021,569``, ``1.2345``, ``0.75``: whole numbers with separators, others with two to four decimals."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value):
        return f"{value:,.0f}"
    text = f"{value:,.4f}"
    return text[:-2] + text[-2:].rstrip("0")


def mean_and_spread(values: Sequence[float]) -> str:
    """A figure; of several seeds their mean ± the standard deviation between them."""
    if len(set(values)) == 1:
        return figure(values[0])
    return f"{figure(statistics.fmean(values))} ± {figure(statistics.stdev(values))}"
