"""Text that two backends draw with the same random numbers: equal up to the first number on the border between two tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.decoding.draws import Draws
from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.decoding.stepper import State, Stepped, Stepper, Tokens

BORDER = 1e-4
"""How near the border between two tokens, in probability, a random number may lie and still mean either: both have nearly its score."""

DrawnText = Mapping[str, NDArray[Any]]
"""``tokens (length,) int32``, and ``margins (length,) float64``: how far each number was from the nearest border of its token."""


def drawn_text(
    stepper: Stepper, prompt: Any, inputs: Mapping[str, NDArray[Any]], banned: Sequence[int], seed: int, length: int
) -> DrawnText:
    """Draws a text, token by token.

    Args:
        stepper: the model's decoding step.
        prompt: first tokens.
        inputs: model inputs that are not decoded, ``(1, …)``.
        banned: ids that are never drawn.
        seed: of the draws.
        length: tokens to draw.
    """
    watching = _Watching(stepper)
    result = generate(watching, [prompt], Sampling("sample", banned=tuple(banned)), length=length, seed=seed, inputs=inputs).result()
    tokens = np.asarray(result.tokens[0])
    draws = Draws(seed, [0])
    rows = zip(watching.logits, tokens.tolist(), strict=False)
    margins = [_margin(logits, token, banned, draws.at(number).item()) for number, (logits, token) in enumerate(rows)]
    return {"tokens": tokens, "margins": np.array(margins)}


def until_a_border(one: DrawnText, other: DrawnText) -> tuple[NDArray[Any], NDArray[Any]]:
    """The tokens of both up to the first ones that differ because a number lay on the border; all of them where none did.

    What follows is a text of its own.
    """
    left, right = one["tokens"], other["tokens"]
    different = np.flatnonzero(left[: len(right)] != right[: len(left)])
    if not different.size:
        return left, right
    first = int(different[0])
    near = min(one["margins"][first], other["margins"][first]) < BORDER
    return (left[:first], right[:first]) if near else (left, right)


def _margin(logits: NDArray[Any], token: int, banned: Sequence[int], uniform: float) -> float:
    scores = logits.astype(np.float64)
    scores[list(banned)] = -np.inf
    weights = np.exp(scores - scores.max())
    upper = weights.cumsum() / weights.sum()
    lower = upper[token - 1] if token else 0.0
    return float(min(abs(uniform - lower), abs(upper[token] - uniform)))


class _Watching:
    """A stepper that remembers the logits of each step's first row."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self.logits: list[NDArray[np.float32]] = []

    def start(self, inputs: Mapping[str, NDArray[np.generic]], rows: int) -> State:
        """As the stepper itself."""
        return self._stepper.start(inputs, rows)

    def step(self, tokens: Tokens, state: State) -> Stepped:
        """Likewise."""
        found = self._stepper.step(tokens, state)
        self.logits.append(found.logits[0].copy())
        return found

    def select(self, state: State, rows: Tokens, width: int = 1) -> State:
        """Likewise."""
        return self._stepper.select(state, rows, width)
