"""Hypotheses: sequences of tokens that a search found, and the trail of choices they are read back from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framework.decoding.stepper import Tokens

Watched = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Hypothesis:
    """One sequence of tokens for one input.

    Attributes:
        tokens: ids, ``(length,) int32``, without the start token; the end token is the last where it is finished.
        score: what hypotheses are ranked by: ``log_probability`` with the penalties for length and coverage.
        log_probability: of all its tokens together under the model, in nats.
        finished: whether it ended with the end token; False where it was cut at the largest length.
        watched: what was watched while each token was made, by name, each ``(length, …)``, such as attention weights
            ``(length, places) float32``; empty unless asked for.
    """

    tokens: NDArray[np.int32]
    score: float
    log_probability: float
    finished: bool
    watched: Watched


@dataclass(frozen=True)
class Found:
    """A hypothesis whose tokens are not read back yet: what it scores, and where its trail ends."""

    step: int
    row: int
    token: int
    score: float
    log_probability: float
    finished: bool


class Trail:
    """The choices of all steps, by which any hypothesis is read back from its end.

    Rows of a batch are reordered, repeated and left out from step to step. Nothing is copied then: each choice says of which row
    of the step before it goes on.

    Args:
        watching: whether what is watched is kept.
    """

    def __init__(self, watching: bool) -> None:
        self._watching = watching
        self._watched: list[Watched] = []
        self._origins: list[Tokens] = []
        self._tokens: list[Tokens] = []

    @property
    def step(self) -> int:
        """Number of the step that is under way, from 0."""
        return len(self._tokens)

    def watch(self, watched: Watched) -> None:
        """Keeps what the step under way has watched, one row a row of its batch."""
        # A copy: a step's arrays may be used again by the next one.
        self._watched.append({name: np.array(value) for name, value in watched.items()} if self._watching else {})

    def advance(self, origins: Tokens, tokens: Tokens) -> None:
        """Goes on to the next step.

        Args:
            origins: which row of the step under way each row of the next one goes on from.
            tokens: which token each of them takes.
        """
        self._origins.append(origins)
        self._tokens.append(tokens)

    def read(self, found: Found) -> Hypothesis:
        """A hypothesis with its tokens and what was watched."""
        row, tokens, rows = found.row, [found.token], [found.row]
        for step in range(found.step - 1, -1, -1):
            tokens.append(int(self._tokens[step][row]))
            row = int(self._origins[step][row])
            rows.append(row)
        rows.reverse()
        names = self._watched[0] if self._watched else {}
        watched = {name: np.stack([self._watched[step][name][row] for step, row in enumerate(rows)]) for name in names}
        return Hypothesis(np.array(tokens[::-1], np.int32), found.score, found.log_probability, found.finished, watched)
