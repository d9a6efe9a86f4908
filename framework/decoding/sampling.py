"""From logits to the next token: greedy, or drawn with temperature, top-k, top-p and banned ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from framework.errors import GateworkError, InputError, nearest
from framework.spec.decoding import DecodingSpec

STRATEGIES = ("greedy", "sample")


class DecodingError(GateworkError):
    """A model's logits are not finite, so there is nothing to choose by."""


def check_strategy(strategy: object, known: Sequence[str]) -> None:
    """Makes sure that a strategy is one of those that are known.

    Raises:
        InputError: it is not; the nearest one is named.
    """
    if strategy not in known:
        close = nearest(str(strategy), known)
        hint = f" (did you mean '{close}'?)" if close else ""
        raise InputError(f"decoding strategy is '{strategy}'; expected {', '.join(known[:-1])} or {known[-1]}{hint}")


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the order is banned, temperature, top_k, top_p.

    Attributes:
        strategy: ``greedy``: the most likely token, the lowest id of equals; ``sample``: one drawn by its probability.
        temperature: logits are divided by this before drawing.
        top_k: draw among the k most likely tokens only; of equals at the border the lower ids stay.
        top_p: draw among the most likely tokens that together reach this probability; at least one stays.
        banned: ids that are never chosen.

    Raises:
        InputError: a value is out of range.

    Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", sections 3.1 (nucleus) and 3.2 (temperature, top-k).
    """

    strategy: Literal["greedy", "sample"] = "sample"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    banned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_strategy(self.strategy, STRATEGIES)
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise InputError(f"temperature is {self.temperature}; expected a number above 0 (for the most likely token: strategy greedy)")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is {self.top_k}; expected a whole number from 1 on, or none")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; expected a number above 0 and at most 1, or none")

    @classmethod
    def of(cls, spec: DecodingSpec, banned: tuple[int, ...] = ()) -> Sampling:
        """The choice that a config asks for.

        Raises:
            InputError: it asks for a search.
        """
        strategy: Any = spec.strategy
        return cls(strategy, spec.temperature, spec.top_k, spec.top_p, banned)


class Sampler:
    """Chooses tokens from logits; keeps working memory from step to step.

    All arithmetic is float64 and the same for one row as for many, so a row's token does not depend on the rows beside it.

    Args:
        sampling: how to choose.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        # No float32 logits divided by this overflow; far below it the draw is the most likely token anyway.
        self._temperature = max(sampling.temperature, 1e-200)
        self._shape: tuple[int, int] = (0, 0)
        self._scores = self._row = np.zeros((0, 0))
        self._bias: NDArray[np.float64] | None = None

    def choose(self, logits: NDArray[np.floating[Any]], uniforms: NDArray[np.float64]) -> NDArray[np.int32]:
        """The next token of each row.

        Args:
            logits: ``(rows, vocabulary)``; not changed.
            uniforms: ``(rows,)``, one random number in [0, 1) for each row; not read when greedy.

        Returns:
            Ids ``(rows,) int32``.

        Raises:
            DecodingError: logits are not finite.
            InputError: a banned id is not in the vocabulary, or all ids are banned.
        """
        if logits.shape != self._shape:
            self._resize(*logits.shape)
        if self.sampling.strategy == "greedy":
            return self._greedy(logits)
        if len(logits) == 1:
            return self._draw_one(logits, uniforms.item())
        return self._draw(logits, uniforms)

    def _resize(self, rows: int, vocabulary: int) -> None:
        self._shape = (rows, vocabulary)
        self._scores = np.empty(self._shape)
        self._row = self._scores[0] if rows else self._scores
        self._bias = None
        banned = self.sampling.banned
        if not banned:
            return
        check_banned(banned, vocabulary)
        self._bias = np.zeros(vocabulary)
        self._bias[list(banned)] = -np.inf

    def _greedy(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        scores = logits if self._bias is None else np.add(logits, self._bias, out=self._scores)
        ids = scores.argmax(axis=1)
        for row, token in enumerate(ids.tolist()):
            if not math.isfinite(scores.item(row, token)):
                refuse_logits(row, scores.item(row, token))
        return np.asarray(ids, np.int32)

    def _draw_one(self, logits: NDArray[np.floating[Any]], uniform: float) -> NDArray[np.int32]:
        """What :meth:`_draw` does, for one row, in cheaper calls: at small vocabularies NumPy's calls are all that costs."""
        scores = self._row
        scores[:] = logits[0]
        if self._bias is not None:
            scores += self._bias
        largest = scores.item(scores.argmax())
        if not math.isfinite(largest):
            refuse_logits(0, largest)
        self._weigh(largest)
        np.add.accumulate(scores, 0, None, scores)
        return np.array([scores.searchsorted(uniform * scores.item(-1), "right")], np.int32)

    def _draw(self, logits: NDArray[np.floating[Any]], uniforms: NDArray[np.float64]) -> NDArray[np.int32]:
        """The first id whose cumulative probability is above the row's random number; an id of probability 0 never is.

        Ids are taken in their own order, not by probability: two nearly equal ones that change places change no draw.
        """
        scores = self._scores
        scores[:] = logits
        if self._bias is not None:
            scores += self._bias
        largest = scores.max(axis=1, keepdims=True)
        for row in np.flatnonzero(~np.isfinite(largest)):
            refuse_logits(int(row), largest.item(row))
        self._weigh(largest)
        cumulative = np.add.accumulate(scores, 1, None, scores)
        below = cumulative <= (uniforms * cumulative[:, -1])[:, np.newaxis]
        return np.asarray(below.sum(axis=1), np.int32)

    def _weigh(self, largest: float | NDArray[np.float64]) -> None:
        """Turns scores into unnormalized probabilities, 1 for the largest and 0 for what is ruled out; in place."""
        scores, top_k, top_p = self._scores, self.sampling.top_k, self.sampling.top_p
        if top_k is not None and top_k < self._shape[1]:
            for row in scores:
                _keep_top_k(row, top_k)
        scores -= largest
        if self._temperature != 1.0:
            scores /= self._temperature
        if top_p is not None and top_p < 1:
            for row in scores:
                _keep_top_p(row, top_p)
        np.exp(scores, scores)


def log_probabilities(logits: NDArray[np.floating[Any]], ids: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The model's own log-probability of each row's token, in nats, before temperature and the rest.

    Args:
        logits: ``(rows, vocabulary)``.
        ids: ``(rows,)``.

    Returns:
        ``(rows,) float64``.
    """
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(ids)), ids]
    result: NDArray[np.float64] = chosen - np.log(np.exp(scores).sum(axis=1))
    return result


def _keep_top_k(scores: NDArray[np.float64], k: int) -> None:
    """Puts all but the k largest of ``(vocabulary,)`` to minus infinity, in place."""
    last = len(scores) - k
    border = np.partition(scores, last).item(last)
    kept = scores >= border
    surplus = np.count_nonzero(kept) - k
    if surplus > 0:
        kept[np.flatnonzero(scores == border)[-surplus:]] = False
    scores[~kept] = -np.inf


def _keep_top_p(scores: NDArray[np.float64], share: float) -> None:
    """Puts those of ``(vocabulary,)`` to minus infinity that are not needed to reach ``share`` of the probability, in place."""
    weights = np.exp(scores)
    whole = weights.sum()
    # All weights below this floor have less than the rest of the probability together: none of them is needed, nor sorted.
    candidates = np.flatnonzero(weights >= (1 - share) * whole / len(weights))
    # By score: a difference that is lost in the weights still says which of two comes first.
    largest_first = candidates[np.argsort(-scores[candidates], kind="stable")]
    reached = weights[largest_first].cumsum()
    kept = largest_first[: reached.searchsorted(share * whole) + 1]
    kept_scores = scores[kept]
    scores.fill(-np.inf)
    scores[kept] = kept_scores


def check_banned(banned: tuple[int, ...], vocabulary: int) -> None:
    """Holds banned ids against a vocabulary.

    Raises:
        InputError: one is not in it, or all of it are banned.
    """
    for token in banned:
        if not 0 <= token < vocabulary:
            raise InputError(f"banned id {token} is not in the vocabulary of {vocabulary} tokens (0 to {vocabulary - 1})")
    if len(set(banned)) == vocabulary:
        raise InputError(f"all {vocabulary} tokens of the vocabulary are banned; at least one must be left")


def refuse_logits(row: int, largest: float) -> NoReturn:
    """Says that a row's logits are not finite.

    Raises:
        DecodingError: always.
    """
    raise DecodingError(f"logits of row {row} are not finite (largest: {largest}): the model's weights or states are not numbers")
