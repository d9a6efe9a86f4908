"""Steppers whose logits are looked up, the searches of this folder's tests written naively, and what they are held against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from framework.decoding.stepper import State, Stepped

START, END = 0, 1


class ScriptedStepper:
    """Logits by the tokens so far and, with memory, by the input; each row computed to the same bits in any batch.

    ``takes`` holds the name of each array whose rows were taken, ``rows`` the number of rows of each step, and ``inputs_left`` that of the
    inputs they belong to.
    """

    def __init__(self, vocabulary: int, seed: int, memory: bool = True, round_to: int | None = None) -> None:
        random = np.random.Generator(np.random.PCG64(seed))
        self.vocabulary, self.memory = vocabulary, memory
        self.table = (2 * random.normal(size=(997, vocabulary))).astype(np.float32)
        if round_to is not None:  # so that many are equal
            self.table = self.table.round(round_to)
        self.takes: list[str] = []
        self.rows: list[int] = []
        self.inputs_left: list[int] = []

    def start(self, inputs: Mapping[str, np.ndarray], rows: int) -> State:
        if not self.memory:
            assert not inputs
            return State({}, {"code": np.ones(rows, np.int64)}, rows)
        assert len(inputs["source"]) == rows
        return State({"memory": inputs["source"].astype(np.int64)}, {"code": np.ones(rows, np.int64)}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        assert tokens.shape in ((state.rows,), (state.rows, 1))
        tokens = tokens.reshape(-1)
        assert (tokens >= 0).all()
        assert (tokens < self.vocabulary).all()
        self.rows.append(state.rows)
        self.inputs_left.append(state.rows // state.width)
        code = (state.carried["code"] * 31 + tokens + 7) % 99_991
        key, watched = code, {}
        if self.memory:
            memory = np.repeat(state.constant["memory"], state.width, axis=0)
            assert len(memory) == state.rows
            key = code + 13 * (memory * np.arange(1, memory.shape[1] + 1)).sum(axis=1)
            weights = ((code[:, None] + 5 * memory + np.arange(memory.shape[1])) % 17 + 1) * (memory > 0)
            watched = {"attention": (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)}
        return Stepped(self.table[key % 997], state._replace(carried={"code": code}), watched)

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        names = {id(value): name for name, value in {**state.constant, **state.carried}.items()}

        def take(value: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            self.takes.append(names[id(value)])
            return value[chosen]

        return state.select(rows, width, take)

    def inputs(self, source: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
        """Sources of unequal lengths, padded with zeros."""
        padded = np.zeros((len(source), max(map(len, source))), np.int32)
        for row, tokens in enumerate(source):
            padded[row, : len(tokens)] = tokens
        return {"source": padded} if self.memory else {}


@dataclass(frozen=True)
class Sequenced:
    """One sequence with its scores."""

    tokens: tuple[int, ...]
    score: float
    log_probability: float
    finished: bool


@dataclass(frozen=True)
class Rules:
    """What a search is asked for."""

    length: int
    alpha: float = 0.0
    beta: float = 0.0
    banned: tuple[int, ...] = ()
    earliest: int = 0


def steps(stepper: ScriptedStepper, source: Sequence[int], tokens: Sequence[int]) -> tuple[list[list[float]], np.ndarray]:
    """Log-probabilities of all tokens at each step of one sequence, and the attention of each step."""
    state = stepper.start(stepper.inputs([source]), 1)
    logs, attention = [], []
    for token in (START, *tokens):
        logits, state, watched = stepper.step(np.array([token]), state)
        whole = math.fsum(math.exp(logit) for logit in logits[0].tolist())
        logs.append([logit - math.log(whole) for logit in logits[0].tolist()])
        attention.append(watched.get("attention", np.zeros((1, 0)))[0])
    return logs, np.array(attention, np.float64)


def scored(stepper: ScriptedStepper, source: Sequence[int], tokens: tuple[int, ...], rules: Rules) -> Sequenced:
    """One sequence, scored by the formulas of the paper."""
    logs, attention = steps(stepper, source, tokens[:-1])
    value = math.fsum(row[token] for row, token in zip(logs, tokens, strict=True))
    score = value / ((5 + len(tokens)) / 6) ** rules.alpha
    if rules.beta:
        score += rules.beta * sum(math.log(min(float(one), 1.0)) for one in attention.sum(axis=0)[: len(source)])
    return Sequenced(tokens, score, value, tokens[-1] == END)


def every_sequence(stepper: ScriptedStepper, source: Sequence[int], rules: Rules) -> list[Sequenced]:
    """All there are, best first; those that are cut come last."""
    allowed = [token for token in range(stepper.vocabulary) if token not in (END, *rules.banned)]
    found = []
    for length in range(rules.length + 1):
        for tokens in itertools.product(allowed, repeat=length):
            if length < rules.length and length >= rules.earliest and END not in rules.banned:
                found.append(scored(stepper, source, (*tokens, END), rules))
            if length == rules.length:
                found.append(scored(stepper, source, tokens, rules))
    return sorted(found, key=lambda one: (not one.finished, -one.score))


def plain_beam(stepper: ScriptedStepper, source: Sequence[int], width: int, wanted: int, rules: Rules) -> list[Sequenced]:
    """Beam search on lists, each hypothesis read anew at every step."""
    opened: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    found: list[Sequenced] = []

    def best() -> list[Sequenced]:
        return sorted(found, key=lambda one: (not one.finished, -one.score))[:wanted]

    for length in range(1, rules.length + 1):
        ranked = sorted(_continued(stepper, source, opened, rules), key=lambda one: -one[0])
        found += [scored(stepper, source, tokens, rules) for _, tokens in ranked[: width - len(found)] if tokens[-1] == END]
        opened = [one for one in ranked if one[1][-1] != END][: width - len(found)]
        if length == rules.length:
            found += [scored(stepper, source, tokens, rules) for _, tokens in opened]
        if not opened:
            break
        reachable = opened[0][0] / ((5 + rules.length) / 6) ** rules.alpha
        if len(best()) == wanted and best()[-1].score >= reachable:
            break
    return best()


def _continued(
    stepper: ScriptedStepper, source: Sequence[int], opened: list[tuple[float, tuple[int, ...]]], rules: Rules
) -> Iterator[tuple[float, tuple[int, ...]]]:
    for value, tokens in opened:
        logs, _ = steps(stepper, source, tokens)
        for token, log in enumerate(logs[-1]):
            if token not in rules.banned and (token != END or len(tokens) >= rules.earliest):
                yield value + log, (*tokens, token)
