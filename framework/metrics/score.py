"""One figure of predictions against what they should be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One figure of a whole set of predictions.

    Attributes:
        value: the higher the better.
        signature: all that must be equal for two figures to be comparable; empty where there is nothing to say.
    """

    value: float
    signature: str = ""
