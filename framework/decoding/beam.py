"""Beam search: the best few hypotheses of each input are followed side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.decoding.hypothesis import Found, Hypothesis, Trail
from framework.decoding.penalties import Scores
from framework.decoding.sampling import DecodingError, check_banned, refuse_logits
from framework.decoding.stepper import State, Stepper, Tokens

_BLOCK = 64
"""Numbers whose largest is found at once, before a few of the largest of all are looked for."""


class Ends(NamedTuple):
    """Where hypotheses end.

    Attributes:
        token: that ends a hypothesis.
        earliest: tokens before it may come.
        longest: tokens of a hypothesis at most, the end token counted, for each input.
    """

    token: int
    earliest: int
    longest: NDArray[np.int64]


class Beam:
    """A beam search over all inputs of a batch at once.

    At each step all continuations of an input's open hypotheses are ranked by log-probability, of equals those of the lower beam and then
    the lower token first. Of as many of the best as the beam has room for, those that end are finished, and each takes a place of the
    beam for good; the best that do not end stay open in the places that are left. An input is done when no place is left, or when no
    open hypothesis can come to a better score than the last of the ``wanted`` finished ones. Where too few are finished at the largest
    length, open ones are cut there and come after the finished.

    Source: Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks", section 3.2; Huang et al. 2017, "When to Finish?
    Optimal Beam Search for Neural Text Generation", section 3.

    Args:
        stepper: the model's decoding step.
        state: before the first step, one row an input.
        width: hypotheses that are followed.
        wanted: hypotheses that are given for each input.
        ends: where hypotheses end.
        banned: ids that are never chosen.
        scores: what finished hypotheses are ranked by.
        trail: that remembers the choices.
    """

    def __init__(
        self, stepper: Stepper, state: State, width: int, wanted: int, ends: Ends, banned: tuple[int, ...], scores: Scores, trail: Trail
    ) -> None:
        self._stepper, self._state, self._scores, self._trail = stepper, state, scores, trail
        self._wanted, self._ends = wanted, ends
        self._banned = banned
        self._inputs = np.arange(state.rows)
        # Log-probabilities of the open hypotheses, (inputs, beams); minus infinity where there is none.
        self._open = np.zeros((state.rows, 1))
        # Places of the beam that no finished hypothesis has taken, (inputs,).
        self._room = np.full(state.rows, width)
        self._found: list[list[Found]] = [[] for _ in range(state.rows)]
        self._continuations = _Continuations()

    def run(self, start: int) -> list[list[Hypothesis]]:
        """The best hypotheses of each input, best first.

        Args:
            start: token that every hypothesis begins with, and that is left out.

        Raises:
            DecodingError: logits are not finite, or leave no token to choose.
        """
        tokens: Tokens = np.full(self._state.rows, start)
        while True:
            logits, self._state, watched = self._stepper.step(tokens, self._state)
            self._trail.watch(watched)
            self._scores.watch(watched)
            ending, going = self._rank(logits)
            self._finish(ending, going)
            staying = np.array([not self._done(place, going) for place in range(len(self._inputs))])
            if not staying.any():
                return [[self._trail.read(one) for one in self._best(found)] for found in self._found]
            tokens = self._go_on(going, staying)

    def _rank(self, logits: NDArray[np.floating[Any]]) -> tuple[_Ranked, _Ranked]:
        """The best continuations of each input: those that end, and those that go on."""
        inputs, beams = self._open.shape
        if self._banned and self._trail.step == 0:
            check_banned(self._banned, logits.shape[1])
        values = self._continuations.of(logits, self._open.reshape(-1))
        values[:, list(self._banned)] = -np.inf
        ends = values[:, self._ends.token].reshape(inputs, beams).copy()
        if self._trail.step < self._ends.earliest:
            ends[:] = -np.inf
        values[:, self._ends.token] = -np.inf
        vocabulary = values.shape[1]
        places = largest(values.reshape(inputs, -1), int(self._room.max()))
        going = _Ranked(places // vocabulary, places % vocabulary, np.take_along_axis(values.reshape(inputs, -1), places, axis=1))
        tokens = np.concatenate([np.full((inputs, beams), self._ends.token), going.tokens], axis=1)
        origins = np.concatenate([np.broadcast_to(np.arange(beams), (inputs, beams)), going.beams], axis=1)
        both = np.concatenate([ends, going.values], axis=1)
        order = np.lexsort((tokens, origins, -both))[:, : going.values.shape[1]]
        ending = _Ranked(*(np.take_along_axis(array, order, axis=1) for array in (origins, tokens, both)))
        ending.values[(ending.tokens != self._ends.token) | self._beyond_room(ending)] = -np.inf
        self._room -= np.isfinite(ending.values).sum(axis=1)
        going.values[self._beyond_room(going)] = -np.inf
        return ending, going

    def _beyond_room(self, ranked: _Ranked) -> NDArray[np.bool_]:
        beyond: NDArray[np.bool_] = np.arange(ranked.values.shape[1]) >= self._room[:, np.newaxis]
        return beyond

    def _finish(self, ending: _Ranked, going: _Ranked) -> None:
        for place, rank in np.argwhere(np.isfinite(ending.values)).tolist():
            self._add(place, rank, ending, finished=True)
        length = self._trail.step + 1
        for place in np.flatnonzero(self._ends.longest[self._inputs] <= length).tolist():
            for rank in np.flatnonzero(np.isfinite(going.values[place])).tolist():
                self._add(place, rank, going, finished=False)

    def _add(self, place: int, rank: int, ranked: _Ranked, finished: bool) -> None:
        source, step = int(self._inputs[place]), self._trail.step
        row = place * self._open.shape[1] + int(ranked.beams[place, rank])
        value = float(ranked.values[place, rank])
        score = self._scores.score(value, step + 1, row, source)
        self._found[source].append(Found(step, row, int(ranked.tokens[place, rank]), score, value, finished))

    def _best(self, found: list[Found]) -> list[Found]:
        # Stable: of equals, what was found first, in the order of the ranks.
        return sorted(found, key=lambda one: (not one.finished, -one.score))[: self._wanted]

    def _done(self, place: int, going: _Ranked) -> bool:
        source = self._inputs[place]
        longest, found = int(self._ends.longest[source]), self._found[source]
        if not self._room[place] or longest <= self._trail.step + 1:
            return True
        best_open = float(going.values[place, 0])
        if best_open == -np.inf:
            if not found:
                raise DecodingError(
                    f"no token can follow the {self._trail.step} tokens of row {source}: all are banned, or have probability 0"
                )
            return True
        best = self._best(found)
        return len(best) == self._wanted and best[-1].score >= self._scores.bound(best_open, longest)

    def _go_on(self, going: _Ranked, staying: NDArray[np.bool_]) -> Tokens:
        """The tokens of the next step, its state made ready."""
        kept = np.flatnonzero(staying)
        before, width = self._open.shape[1], min(going.values.shape[1], int(self._room[kept].max()))
        origins = (kept[:, np.newaxis] * before + going.beams[kept, :width]).reshape(-1)
        tokens = going.tokens[kept, :width].reshape(-1)
        self._open, self._inputs, self._room = going.values[kept, :width], self._inputs[kept], self._room[kept]
        if width != self._state.width or not np.array_equal(origins, np.arange(self._state.rows)):
            self._state = self._stepper.select(self._state, origins, width)
        self._scores.follow(origins)
        self._trail.advance(origins, tokens)
        return tokens


class _Ranked(NamedTuple):
    """Continuations of each input, best first: the beam, the token and the log-probability of each, ``(inputs, ranks)``."""

    beams: NDArray[np.int64]
    tokens: NDArray[np.int64]
    values: NDArray[np.float64]


class _Continuations:
    """Log-probabilities of all continuations; keeps working memory from step to step. All in float64."""

    def __init__(self) -> None:
        self._values = self._weights = np.zeros((0, 0))

    def of(self, logits: NDArray[np.floating[Any]], before: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(rows, vocabulary)``, valid until the next call.

        Args:
            logits: likewise; not changed.
            before: log-probability of each row so far.

        Raises:
            DecodingError: logits are not finite.
        """
        rows = len(logits)
        if rows > len(self._values) or logits.shape[1] != self._values.shape[1]:
            self._values, self._weights = np.empty(logits.shape), np.empty(logits.shape)
        values, weights = self._values[:rows], self._weights[:rows]
        values[:] = logits
        peaks = values.max(axis=1, keepdims=True)
        for row in np.flatnonzero(~np.isfinite(peaks)):
            refuse_logits(int(row), peaks.item(row))
        values -= peaks
        np.exp(values, out=weights)
        values += (before - np.log(weights.sum(axis=1)))[:, np.newaxis]
        return values


def largest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Places of the largest numbers of each row, in falling order; of equals the lower place comes first.

    Args:
        values: ``(rows, numbers)``; none is NaN.
        count: of each row; all, where there are fewer.

    Returns:
        ``(rows, count)``.
    """
    rows, numbers = values.shape
    count = min(count, numbers)
    # Each of the `count` best blocks has a number as large as this border, so none below it is among the largest.
    blocks = numbers // _BLOCK
    peaks = values[:, : blocks * _BLOCK].reshape(rows, blocks, _BLOCK).max(axis=2) if blocks >= count else values
    border = np.partition(peaks, -count, axis=1)[:, -count]
    owners, places = np.nonzero(values >= border[:, np.newaxis])
    order = np.lexsort((places, -values[owners, places], owners))
    first = np.searchsorted(owners, np.arange(rows))
    ordered: NDArray[np.int64] = places[order][first[:, np.newaxis] + np.arange(count)]
    return ordered
