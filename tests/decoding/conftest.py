"""A tiny GRU language model in NumPy whose rows are computed to the same bits whatever batch they are in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from framework.decoding.stepper import State, Stepped

VOCABULARY, UNITS = 11, 8


def _waves(*shape: int, phase: float) -> np.ndarray:
    """Fixed weights without a random generator; float64."""
    count = int(np.prod(shape))
    return 0.9 * np.sin(phase + 1.7 * np.arange(count) ** 1.3).reshape(shape)


def _product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    # A BLAS product of another number of rows may differ in the last bit; this one does not.
    return np.stack([(row[:, None] * matrix).sum(axis=0) for row in rows])


class TinyStepper:
    """A stepper that counts what it was asked: ``calls`` holds the shape of the tokens of every call."""

    def __init__(self) -> None:
        self.embedding = 3 * _waves(VOCABULARY, 3 * UNITS, phase=0.1)
        self.recurrent = _waves(UNITS, 3 * UNITS, phase=0.2)
        self.dense = 1.3 * _waves(UNITS, VOCABULARY, phase=0.3)
        self.calls: list[tuple[int, ...]] = []
        self.selected: list[list[int]] = []
        self.logits: np.ndarray | None = None

    def start(self, inputs: Mapping[str, np.ndarray], rows: int) -> State:
        assert not inputs
        return State({}, {"gru/state": np.zeros((rows, UNITS))}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        self.calls.append(tokens.shape)
        assert tokens.min() >= 0
        hidden = state.carried["gru/state"]
        assert len(hidden) == len(tokens)
        for column in tokens.reshape(len(tokens), -1).T:
            hidden = self._advance(column, hidden)
        # As promised, the logits of the call before are no longer valid.
        if self.logits is not None:
            self.logits.fill(np.nan)
        self.logits = _product(hidden, self.dense).astype(np.float32)
        return Stepped(self.logits, state._replace(carried={"gru/state": hidden}), {})

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        self.selected.append(rows.tolist())
        return state.select(rows, width, lambda value, chosen: value[chosen])

    def _advance(self, tokens: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        inputs, recurrent = self.embedding[tokens], _product(hidden, self.recurrent)
        z, r = np.split(1 / (1 + np.exp(-(inputs + recurrent)[:, : 2 * UNITS])), 2, axis=1)
        candidate = np.tanh(inputs[:, 2 * UNITS :] + r * recurrent[:, 2 * UNITS :])
        return z * hidden + (1 - z) * candidate


@pytest.fixture
def stepper() -> TinyStepper:
    return TinyStepper()
