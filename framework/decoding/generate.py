"""Generation: prompts in, tokens out step by step, for one row or many of different lengths."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.decoding.draws import Draws
from framework.decoding.sampling import Sampler, Sampling, log_probabilities
from framework.decoding.stepper import State, Stepper
from framework.errors import InputError

NOTHING = -1
"""Stands in a step's tokens for a row that still reads its prompt, or is done."""

Listener = Callable[[NDArray[np.int32]], None]


@dataclass(frozen=True)
class GenerationResult:
    """What was generated.

    Attributes:
        tokens: ids of each row, ``(generated,) int32``; the prompt is left out, a stop id is the last.
        log_probabilities: the model's own log-probability of each of these, in nats, before temperature and the rest,
            ``(generated,) float64``; None unless asked for.
        stopped: whether each row ended with a stop id.
        seconds: duration of reading and generating, without what the reader of the stream did in between.
    """

    tokens: tuple[NDArray[np.int32], ...]
    log_probabilities: tuple[NDArray[np.float64], ...] | None
    stopped: tuple[bool, ...]
    seconds: float

    @property
    def count(self) -> int:
        """Number of generated tokens, over all rows."""
        return sum(len(row) for row in self.tokens)

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens a second, over all rows."""
        return self.count / self.seconds if self.seconds > 0 else 0.0


class Generation(Iterator[NDArray[np.int32]]):
    """A generation under way: an iterator over steps, and what came out of it.

    Each step is ``(rows,) int32``, :data:`NOTHING` where a row has no token in it. All prompts start together. A shorter one goes on
    with its own tokens while longer ones are still read, so no padding ever enters a state; a row's text is the same as if it
    were alone in the batch.

    Made by :func:`generate`.
    """

    def __init__(self, steps: _Steps, listener: Listener | None) -> None:
        self._steps = steps
        self._stream = steps.run()
        self._listener = listener
        self._seconds = 0.0

    def __iter__(self) -> Generation:
        return self

    def __next__(self) -> NDArray[np.int32]:
        start = time.perf_counter()
        try:
            tokens = next(self._stream)
        finally:
            self._seconds += time.perf_counter() - start
        if self._listener is not None:
            self._listener(tokens)
        return tokens

    def result(self) -> GenerationResult:
        """Generates what is left, and gives the whole."""
        for _ in self:
            pass
        steps = self._steps
        emitted = _by_row(steps.emitted, steps.count)
        kept = [row != NOTHING for row in emitted]
        scores = _by_row(steps.scores, steps.count) if steps.scored else None
        return GenerationResult(
            tokens=tuple(row[keep] for row, keep in zip(emitted, kept, strict=True)),
            log_probabilities=tuple(row[keep] for row, keep in zip(scores, kept, strict=True)) if scores is not None else None,
            stopped=tuple(bool(stop) for stop in steps.stopped),
            seconds=self._seconds,
        )


def generate(
    stepper: Stepper,
    prompts: Sequence[Sequence[int] | NDArray[np.integer[Any]]],
    sampling: Sampling,
    length: int,
    seed: int = 0,
    *,
    stop_ids: Sequence[int] = (),
    first_row: int = 0,
    with_scores: bool = False,
    on_tokens: Listener | None = None,
    inputs: Mapping[str, NDArray[np.generic]] | None = None,
) -> Generation:
    """Goes on from prompts.

    Args:
        stepper: the model's decoding step.
        prompts: ids of each row, at least one each; lengths may differ.
        sampling: how tokens are chosen.
        length: tokens to generate for each row, at most.
        seed: seed of the random numbers, 0 or more; each row has its own, made from (seed, number of the row).
        stop_ids: ids that end their row.
        first_row: number of the first row, for a batch that is a part of a larger one.
        with_scores: whether the result carries the model's log-probabilities, which costs a little each step.
        on_tokens: called with each step's tokens, ``(rows,) int32``, as they come.
        inputs: the model inputs that are not decoded, by name, each ``(rows, …)``.

    Returns:
        An iterator over the steps; its ``result()`` gives the whole.

    Raises:
        InputError: no prompt, an empty one, a negative id or seed, or a length below 1.
        DecodingError: while generating, when logits are not finite.
    """
    if length < 1:
        raise InputError(f"length is {length}; expected at least 1 token to generate")
    if seed < 0 or first_row < 0:
        raise InputError(f"seed is {seed} and first_row is {first_row}; expected 0 or more")
    if any(token < 0 for token in stop_ids):
        raise InputError(f"stop id {min(stop_ids)} is no token; expected ids from 0 on")
    rows = _checked(prompts)
    draws = Draws(seed, range(first_row, first_row + len(rows)), [len(row) for row in rows])
    return Generation(_Steps(stepper, rows, inputs or {}, sampling, length, draws, stop_ids, with_scores), on_tokens)


def _checked(prompts: Sequence[Sequence[int] | NDArray[np.integer[Any]]]) -> list[NDArray[np.int32]]:
    if len(prompts) == 0:
        raise InputError("there is no prompt; expected at least one")
    rows = []
    for number, prompt in enumerate(prompts):
        ids = np.asarray(prompt)
        if ids.size == 0:
            raise InputError(f"prompt {number} is empty; expected at least one token to start from")
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise InputError(f"prompt {number} has shape {ids.shape} and type {ids.dtype}; expected a list of whole numbers")
        if ids.min() < 0:
            raise InputError(f"prompt {number} holds the id {ids.min()}; expected ids from 0 on")
        rows.append(ids.astype(np.int32))
    return rows


def _by_row(steps: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    return np.stack(steps, axis=1) if steps else np.zeros((rows, 0), np.int32)


class _Steps:
    """The loop over positions; a position is the index of a token in its row, the prompt counted."""

    def __init__(
        self,
        stepper: Stepper,
        prompts: list[NDArray[np.int32]],
        inputs: Mapping[str, NDArray[np.generic]],
        sampling: Sampling,
        length: int,
        draws: Draws,
        stop_ids: Sequence[int],
        scored: bool,
    ) -> None:
        self.count = len(prompts)
        self.scored = scored
        self.emitted: list[NDArray[np.int32]] = []
        self.scores: list[NDArray[np.float64]] = []
        self.stopped = np.zeros(self.count, np.bool_)
        self._stepper, self._inputs, self._sampler, self._draws = stepper, inputs, Sampler(sampling), draws
        self._stop_ids = frozenset(stop_ids)
        self._starts = np.array([len(prompt) for prompt in prompts])
        self._ends = self._starts + length
        self._longest = int(self._starts.max())
        self._first_end = int(self._ends.min())
        self._padded = np.zeros((self.count, self._longest), np.int32)
        for row, prompt in enumerate(prompts):
            self._padded[row, : len(prompt)] = prompt
        self._alive = np.ones(self.count, np.bool_)
        self._left = self.count
        # Rows of the batch, as numbers of prompts; all are in it at first, and done ones leave it in time.
        self._rows = np.arange(self.count)
        self._whole = True

    def run(self) -> Iterator[NDArray[np.int32]]:
        """Each step's tokens, ``(rows,) int32``."""
        position = int(self._starts.min())
        logits, state, _ = self._stepper.step(self._padded[:, :position], self._stepper.start(self._inputs, self.count))
        while True:
            uniforms = self._draws.at(position)
            tokens = self._sampler.choose(logits, uniforms if self._whole else uniforms[self._rows])
            yield self._record(position, tokens, logits)
            if self._stop_ids or position + 1 >= self._first_end:
                self._end_rows(position)
                if not self._left:
                    return
                tokens, state = self._leave(position, tokens, state)
            fed = tokens if position >= self._longest else self._next_input(position, tokens)
            logits, state, _ = self._stepper.step(fed, state)
            position += fed.shape[1] if fed.ndim == 2 else 1

    def _record(self, position: int, tokens: NDArray[np.int32], logits: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        if position >= self._longest and self._left == self.count:
            step = tokens
            scores = log_probabilities(logits, tokens) if self.scored else None
        else:
            writing = self._alive[self._rows] & (self._starts[self._rows] <= position)
            step = np.full(self.count, NOTHING, np.int32)
            step[self._rows[writing]] = tokens[writing]
            scores = np.zeros(self.count) if self.scored else None
            if scores is not None:
                scores[self._rows] = log_probabilities(logits, tokens)
        self.emitted.append(step)
        if scores is not None:
            self.scores.append(scores)
        # A copy, because the reader may change what is given.
        return step.copy()

    def _end_rows(self, position: int) -> None:
        if self._stop_ids:
            for row, token in enumerate(self.emitted[-1].tolist()):
                if token in self._stop_ids:
                    self.stopped[row], self._alive[row] = True, False
        self._alive &= self._ends > position + 1
        self._left = int(np.count_nonzero(self._alive))

    def _leave(self, position: int, tokens: NDArray[np.int32], state: State) -> tuple[NDArray[np.int32], State]:
        """Takes rows that are done out of the batch, once they are half of it or nobody else writes."""
        if self._left == len(self._rows):
            return tokens, state
        staying = np.flatnonzero(self._alive[self._rows])
        only_readers = int(self._starts[self._rows[staying]].min()) > position
        if 2 * len(staying) > len(self._rows) and not only_readers:
            return tokens, state
        self._rows, self._whole = self._rows[staying], False
        return tokens[staying], self._stepper.select(state, staying)

    def _next_input(self, position: int, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Own tokens, or the prompt's where it goes on; ``(rows, time)`` where all rows only read."""
        starts = self._starts[self._rows]
        if starts.min() > position:
            return self._padded[self._rows, position : starts.min()]
        return np.where(starts > position, self._padded[self._rows, position], tokens)
