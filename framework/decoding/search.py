"""Search: from inputs to the sequences of tokens that a model makes of them, for models that read one sequence and write another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framework.decoding.beam import Beam, Ends
from framework.decoding.draws import Draws
from framework.decoding.hypothesis import Found, Hypothesis, Trail
from framework.decoding.penalties import Scores
from framework.decoding.sampling import Sampler, Sampling, check_strategy, log_probabilities
from framework.decoding.stepper import State, Stepper, Tokens
from framework.errors import InputError
from framework.spec.decoding import DecodingSpec

STRATEGIES = ("greedy", "sample", "beam")


@dataclass(frozen=True)
class SearchSettings:
    """How hypotheses are looked for and ranked.

    Attributes:
        strategy: ``beam``; or one hypothesis an input: ``greedy``, the most likely token at each step, or ``sample``, one drawn.
        beam_width: hypotheses of each input that a beam search follows.
        n_best: hypotheses that are given for each input; more than one by a beam search alone, and ``beam_width`` at most.
        length_penalty: α of Wu et al. 2016: 0 ranks by log-probability alone, 1 nearly by its mean over the tokens.
        coverage_penalty: β of Wu et al. 2016, against leaving parts of the input out; 0 looks at no attention.
        min_length: tokens before the end token may come.
        temperature: of sampling, as in :class:`framework.decoding.sampling.Sampling`, and so ``top_k`` and ``top_p``.
        banned: ids that are never chosen.

    Raises:
        InputError: a value is out of range.
    """

    strategy: Literal["greedy", "sample", "beam"] = "beam"
    beam_width: int = 5
    n_best: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    min_length: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    banned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_strategy(self.strategy, STRATEGIES)
        if self.beam_width < 1:
            raise InputError(f"beam_width is {self.beam_width}; expected at least 1 hypothesis to follow")
        most = self.beam_width if self.strategy == "beam" else 1
        if not 1 <= self.n_best <= most:
            limit = f"beam_width, which is {most}" if self.strategy == "beam" else f"1 with strategy {self.strategy}"
            raise InputError(f"n_best is {self.n_best}; expected 1 to {limit}")
        for name in ("length_penalty", "coverage_penalty"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise InputError(f"{name} is {value}; expected a number from 0 on")
        if self.min_length < 0:
            raise InputError(f"min_length is {self.min_length}; expected 0 or more tokens")

    @classmethod
    def of(cls, spec: DecodingSpec, banned: tuple[int, ...] = ()) -> SearchSettings:
        """The search that a config asks for."""
        return cls(
            strategy=spec.strategy,
            beam_width=spec.beam_width,
            n_best=spec.n_best,
            length_penalty=spec.length_penalty,
            coverage_penalty=spec.coverage_penalty,
            temperature=spec.temperature,
            top_k=spec.top_k,
            top_p=spec.top_p,
            banned=banned,
        )


def search(
    stepper: Stepper,
    inputs: Mapping[str, NDArray[np.generic]],
    rows: int,
    start_id: int,
    end_id: int,
    settings: SearchSettings,
    *,
    max_length: int | Sequence[int],
    seed: int = 0,
    numbers: Sequence[int] | None = None,
    counted: NDArray[np.bool_] | None = None,
    watch: bool = False,
) -> list[list[Hypothesis]]:
    """The best sequences of tokens for each input.

    All arithmetic on log-probabilities is float64, and equals are told apart by their order, so that the same logits always give the
    same tokens. What is found for an input does not depend on the inputs beside it.

    Args:
        stepper: the model's decoding step.
        inputs: the model inputs that are not decoded, by name, each ``(rows, …)``.
        rows: number of inputs.
        start_id: token that every sequence begins with, and that is left out of what is given.
        end_id: token that ends a sequence.
        settings: how to search.
        max_length: tokens of a sequence at most, the end token counted: for all inputs, or for each.
        seed: seed of the draws of ``sample``, 0 or more; each input has its own, made from (seed, its number).
        numbers: number of each input, for a batch that is a part of a larger one; from 0 on when not given.
        counted: ``(rows, places)``, which places of each input its coverage counts; all when not given.
        watch: whether hypotheses carry what was watched while they were made, such as attention weights.

    Returns:
        For each input its hypotheses, best first: ``n_best``, or fewer where there are no more.

    Raises:
        InputError: a number is out of range; or coverage counts, and the model does not have exactly one attention.
        DecodingError: logits are not finite, or leave no token to choose.
    """
    if rows < 1:
        raise InputError("there is nothing to decode; expected at least one input")
    longest = np.broadcast_to(np.asarray(max_length, np.int64), (rows,))
    if longest.min() <= settings.min_length:
        raise InputError(f"max_length is {longest.min()}; expected more than min_length, which is {settings.min_length}")
    state = stepper.start(inputs, rows)
    scores = Scores(settings.length_penalty, settings.coverage_penalty, counted)
    trail, ends = Trail(watch), Ends(end_id, settings.min_length, longest)
    if settings.strategy == "beam":
        return Beam(stepper, state, settings.beam_width, settings.n_best, ends, settings.banned, scores, trail).run(start_id)
    draws = Draws(seed, range(rows) if numbers is None else numbers)
    return _Single(stepper, state, settings, ends, scores, trail, draws).run(start_id)


class _Single:
    """One hypothesis an input, its tokens chosen one by one."""

    def __init__(
        self, stepper: Stepper, state: State, settings: SearchSettings, ends: Ends, scores: Scores, trail: Trail, draws: Draws
    ) -> None:
        self._stepper, self._state, self._scores, self._trail, self._draws = stepper, state, scores, trail, draws
        self._ends = ends
        self._sampler = _sampler(settings, settings.banned)
        # Chooses while a hypothesis may not end yet.
        self._early = _sampler(settings, (*settings.banned, ends.token)) if ends.earliest else self._sampler
        self._inputs = np.arange(state.rows)
        self._log_probabilities = np.zeros(state.rows)
        self._found: list[Found | None] = [None] * state.rows

    def run(self, start: int) -> list[list[Hypothesis]]:
        """The hypothesis of each input."""
        tokens: Tokens = np.full(self._state.rows, start)
        while len(self._inputs):
            logits, self._state, watched = self._stepper.step(tokens, self._state)
            self._trail.watch(watched)
            self._scores.watch(watched)
            step = self._trail.step
            sampler = self._early if step < self._ends.earliest else self._sampler
            tokens = sampler.choose(logits, self._draws.at(step)[self._inputs])
            self._log_probabilities += log_probabilities(logits, tokens)
            tokens = self._leave(tokens)
        return [[self._trail.read(found)] for found in self._found if found is not None]

    def _leave(self, tokens: Tokens) -> Tokens:
        """Takes rows that are done out of the batch; the tokens of the others, for the next step."""
        step = self._trail.step
        ended = tokens == self._ends.token
        done = ended | (self._ends.longest[self._inputs] <= step + 1)
        for row in np.flatnonzero(done):
            source, value = int(self._inputs[row]), float(self._log_probabilities[row])
            score = self._scores.score(value, step + 1, int(row), source)
            self._found[source] = Found(step, int(row), int(tokens[row]), score, value, bool(ended[row]))
        staying = np.flatnonzero(~done)
        self._trail.advance(staying, tokens[staying])
        if done.any():
            self._inputs, self._log_probabilities = self._inputs[staying], self._log_probabilities[staying]
            self._scores.follow(staying)
            if len(staying):
                self._state = self._stepper.select(self._state, staying)
        return tokens[staying]


def _sampler(settings: SearchSettings, banned: tuple[int, ...]) -> Sampler:
    strategy: Any = settings.strategy
    return Sampler(Sampling(strategy, settings.temperature, settings.top_k, settings.top_p, banned))
