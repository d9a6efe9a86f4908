"""A search over either backend's decoding step: the same hypotheses with the same attention, in any batch."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from attention_models import DECODERS, translation
from small_models import Workshop

from framework.decoding.hypothesis import Hypothesis
from framework.decoding.search import SearchSettings, search

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

MODELS = {
    **{name: translation(DECODERS[name]) for name in ("additive", "the tutorial's", "vector fed")},
    "two ways read": translation(
        {"cell": {"kind": "gru", "units": 6}, "memory": "both"},
        between={
            "both": {"kind": "bidirectional", "inputs": "source_embedding", "layer": {"kind": "gru", "units": 3, "return_sequences": True}}
        },
    ),
}
START, END, BANNED = 1, 2, (0, 1)
SEARCHES = {
    "greedy": SearchSettings("greedy", banned=BANNED),
    "beam": SearchSettings("beam", 4, n_best=3, length_penalty=0.6, banned=BANNED),
    "beam with coverage": SearchSettings("beam", 3, n_best=2, length_penalty=1.0, coverage_penalty=0.3, banned=BANNED),
    "sample": SearchSettings("sample", temperature=0.7, top_k=6, banned=BANNED),
}
SOURCE = np.array([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0], [8, 2, 8, 1, 0], [6, 0, 0, 0, 0]], np.int32)


@cache
def stepper(name: str, backend: str) -> Any:
    workshop = Workshop(backend)
    weights = workshop.start(workshop.plan(MODELS[name]))
    # Without training all tokens are about as likely, whatever was read; larger weights make each step tell.
    weights = {key: 3 * value if "kernel" in key or "embeddings" in key else value for key, value in weights.items()}
    return workshop.trainee(MODELS[name], weights=weights).stepper("target")


def found(name: str, backend: str, how: str, rows: slice = slice(None)) -> list[list[Hypothesis]]:
    source = SOURCE[rows]
    counted = source > 0
    numbers = np.arange(len(SOURCE))[rows].tolist()
    return search(
        stepper(name, backend),
        {"source": source},
        len(source),
        START,
        END,
        SEARCHES[how],
        max_length=12,
        seed=3,
        numbers=numbers,
        counted=counted,
        watch=True,
    )


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("name", MODELS)
def test_both_backends_find_the_same(name: str, how: str) -> None:
    ours, theirs = found(name, "torch", how), found(name, "tensorflow", how)
    for one, other in zip(ours, theirs, strict=True):
        assert [hypothesis.tokens.tolist() for hypothesis in one] == [hypothesis.tokens.tolist() for hypothesis in other]
        for hypothesis, twin in zip(one, other, strict=True):
            np.testing.assert_allclose(hypothesis.score, twin.score, atol=1e-4)
            assert hypothesis.watched.keys() == twin.watched.keys() == {"decoder"}
            np.testing.assert_allclose(hypothesis.watched["decoder"], twin.watched["decoder"], atol=1e-4)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("how", SEARCHES)
def test_padding_and_neighbours_change_nothing(backend: str, how: str) -> None:
    together = found("additive", backend, how)
    assert len({one[0].tokens.tobytes() for one in together}) > 1
    for row in range(len(SOURCE)):
        (alone,) = found("additive", backend, how, slice(row, row + 1))
        assert [one.tokens.tolist() for one in alone] == [one.tokens.tolist() for one in together[row]]
        for one, twin in zip(alone, together[row], strict=True):
            np.testing.assert_allclose(one.score, twin.score, atol=1e-5)
            attention = one.watched["decoder"]
            assert attention.shape == (len(one.tokens), SOURCE.shape[1])
            np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)
            assert not attention[:, SOURCE[row] == 0].any()
