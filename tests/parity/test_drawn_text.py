"""Texts that are drawn with the same numbers differ only where a number lies on the border between two tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.decoding.stepper import State, Stepped
from framework.engine.compare.drawn_text import BORDER, drawn_text, until_a_border
from framework.engine.compare.parity import compare

TOKENS = 7


class Scripted:
    """Logits of each step in turn."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits

    def start(self, inputs: Mapping[str, np.ndarray], rows: int) -> State:
        return State({}, {"step": np.zeros(rows, np.int64)}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        step = int(state.carried["step"][0])
        return Stepped(self.logits[step][None], State({}, {"step": state.carried["step"] + 1}, 1), {})

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        return state


def logits(steps: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, TOKENS)).astype(np.float32)


def test_margins_are_those_of_the_numbers_that_were_drawn() -> None:
    script = logits()
    found = drawn_text(Scripted(script), [1], {}, (0, 3), seed=5, length=30)
    plain = generate(Scripted(script), [[1]], Sampling("sample", banned=(0, 3)), length=30, seed=5, inputs={}).result()
    np.testing.assert_array_equal(found["tokens"], plain.tokens[0])
    assert found["margins"].shape == (30,) and (found["margins"] > 0).all()
    # Moved by less than its margin, no token changes; moved by more, it does.
    step = int(found["margins"].argmin())
    weights = np.exp(script[step].astype(np.float64))
    weights[[0, 3]] = 0
    borders = weights.cumsum() / weights.sum()
    assert np.abs(borders - borders[found["tokens"][step]]).min() == 0
    uniform = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5, spawn_key=(0,)))).random(30)[step]
    assert np.abs(np.concatenate([[0.0], borders]) - uniform).min() == pytest.approx(found["margins"][step])


def test_texts_are_compared_up_to_a_border() -> None:
    tokens, margins = np.arange(6), np.full(6, 0.1)
    same = {"tokens": tokens, "margins": margins}
    assert until_a_border(same, same)[0] is tokens
    other = tokens.copy()
    other[3:] = 9
    far, near = {"tokens": other, "margins": margins}, {"tokens": other, "margins": np.where(np.arange(6) == 3, BORDER / 2, 0.1)}
    assert [len(one) for one in until_a_border(same, far)] == [6, 6]
    assert [one.tolist() for one in until_a_border(same, near)] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(("margin", "ok"), [(BORDER / 2, True), (0.01, False)])
def test_only_a_tie_is_no_difference(margin: float, ok: bool) -> None:
    one = {"sampled text": {"tokens": np.array([4, 5, 6])}, "margins": {"tokens": np.array([0.2, 0.2, 0.2])}}
    other = {"sampled text": {"tokens": np.array([4, 6, 1])}, "margins": {"tokens": np.array([0.2, margin, 0.2])}}
    [line] = compare(one, other)
    assert (line.what, line.ok) == ("sampled text", ok)
