"""What a hypothesis' log-probability is corrected by before hypotheses of different lengths are compared.

Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 7, equation 14:
``s(Y, X) = log P(Y | X) / lp(Y) + cp(X; Y)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.decoding.hypothesis import Watched
from framework.decoding.stepper import Tokens
from framework.errors import InputError

LEAST_ATTENTION = float(np.finfo(np.float32).tiny)
"""Attention of a place that got none: its logarithm must stay a number."""


def length_penalty(length: int, alpha: float) -> float:
    """``lp(Y) = (5 + |Y|)^α / (5 + 1)^α``, which a log-probability is divided by; 1 for ``alpha`` 0.

    Args:
        length: tokens, the end token counted.
        alpha: the larger, the more longer hypotheses are favoured.
    """
    return float(((5.0 + length) / 6.0) ** alpha)


def coverage_penalty(attention: NDArray[np.floating[Any]], beta: float, counted: NDArray[np.bool_] | None = None) -> float:
    """``cp(X; Y) = β Σ_i log(min(Σ_j p_ij, 1))`` over the places i of the input and the tokens j; never above 0.

    Args:
        attention: the sums over the tokens, ``(places,)``.
        beta: weight of the penalty.
        counted: ``(places,)``, which of them are there to be covered; all when not given.
    """
    sums = attention if counted is None else attention[counted]
    return beta * float(np.log(np.clip(sums.astype(np.float64), LEAST_ATTENTION, 1.0)).sum())


class Scores:
    """Scores of the hypotheses of one search.

    Args:
        alpha: of :func:`length_penalty`.
        beta: of :func:`coverage_penalty`; with 0 no attention is looked at.
        counted: ``(inputs, places)``, which places of each input are there to be covered; all when not given.
    """

    def __init__(self, alpha: float, beta: float, counted: NDArray[np.bool_] | None = None) -> None:
        self._alpha, self._beta, self._counted = alpha, beta, counted
        self._sums: NDArray[np.float64] | None = None

    def watch(self, watched: Watched) -> None:
        """Adds a step's attention to each row's sums.

        Raises:
            InputError: coverage counts, and there is not exactly one attention to the input to measure it by.
        """
        if not self._beta:
            return
        if len(watched) != 1:
            found = f"this model has several: {', '.join(watched)}" if watched else "this model has none"
            raise InputError(f"coverage_penalty is measured by the attention weights of one layer; {found}; set coverage_penalty=0")
        (attention,) = watched.values()
        if self._counted is not None and attention.shape[1] != self._counted.shape[1]:
            places = f"{attention.shape[1]} places, and the input has {self._counted.shape[1]}"
            raise InputError(
                f"coverage_penalty is measured by attention to the input, and this model's looks at {places}; set coverage_penalty=0"
            )
        self._sums = attention.astype(np.float64) if self._sums is None else self._sums + attention

    def follow(self, origins: Tokens) -> None:
        """Goes on to the next step, whose rows go on from ``origins``."""
        if self._sums is not None:
            self._sums = self._sums[origins]

    def score(self, log_probability: float, length: int, row: int, source: int) -> float:
        """A hypothesis' score.

        Args:
            log_probability: of all its tokens, in nats.
            length: tokens, the end token counted.
            row: of the batch under way that it ends in.
            source: number of its input.
        """
        score = log_probability / length_penalty(length, self._alpha)
        if self._sums is None:
            return score
        counted = None if self._counted is None else self._counted[source]
        return score + coverage_penalty(self._sums[row], self._beta, counted)

    def bound(self, log_probability: float, longest: int) -> float:
        """No hypothesis that goes on from one of this log-probability, to this length at most, scores more."""
        return log_probability / length_penalty(longest, self._alpha)
