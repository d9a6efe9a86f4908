"""Search over scripted tables: against all sequences there are, against searches written naively, and by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from decoding.scripted import END, START, Rules, ScriptedStepper, Sequenced, every_sequence, plain_beam, scored, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.decoding.beam import largest
from framework.decoding.generate import generate
from framework.decoding.hypothesis import Hypothesis
from framework.decoding.penalties import coverage_penalty, length_penalty
from framework.decoding.sampling import DecodingError, Sampling
from framework.decoding.search import SearchSettings, search
from framework.decoding.stepper import State, Stepped
from framework.errors import InputError

SOURCES = [[3, 1, 4], [2], [7, 1], [8, 2, 8, 1]]


def found(
    stepper: Any, sources: Sequence[Sequence[int]], rules: Rules, *, width: int = 5, wanted: int = 1, watch: bool = False, **more: Any
) -> list[list[Hypothesis]]:
    chosen = SearchSettings(
        strategy=more.pop("strategy", "beam"),
        beam_width=width,
        n_best=wanted,
        length_penalty=rules.alpha,
        coverage_penalty=rules.beta,
        min_length=rules.earliest,
        banned=rules.banned,
    )
    inputs = stepper.inputs(sources)
    counted = inputs["source"] > 0 if inputs else None
    return search(stepper, inputs, len(sources), START, END, chosen, max_length=rules.length, counted=counted, watch=watch, **more)


def agree(ours: list[Hypothesis], expected: list[Sequenced]) -> None:
    assert [tuple(one.tokens.tolist()) for one in ours] == [one.tokens for one in expected]
    assert [one.finished for one in ours] == [one.finished for one in expected]
    np.testing.assert_allclose([one.score for one in ours], [one.score for one in expected], rtol=1e-12)
    np.testing.assert_allclose([one.log_probability for one in ours], [one.log_probability for one in expected], rtol=1e-12)


EVERYTHING = [
    Rules(4),
    Rules(4, alpha=1.0),
    Rules(4, alpha=0.6, beta=0.4),
    Rules(3, alpha=0.3, banned=(2,)),
    Rules(4, alpha=0.6, earliest=2),
    Rules(1),
]
# Coverage is measured by attention.
MEMORIES = [(rules, memory) for rules in EVERYTHING for memory in (True, False) if memory or not rules.beta]


@pytest.mark.parametrize(("rules", "memory"), MEMORIES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_beam_as_wide_as_the_space_finds_what_trying_everything_finds(rules: Rules, memory: bool, seed: int) -> None:
    stepper = ScriptedStepper(4, seed, memory)
    for source, ours in zip(SOURCES, found(stepper, SOURCES, rules, width=400, wanted=400), strict=True):
        agree(ours, every_sequence(stepper, source, rules))
    for wanted in (1, 3):
        for source, ours in zip(SOURCES, found(stepper, SOURCES, rules, width=400, wanted=wanted), strict=True):
            agree(ours, every_sequence(stepper, source, rules)[:wanted])


RULES = st.builds(
    Rules,
    length=st.integers(2, 6),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    beta=st.sampled_from([0.0, 0.2, 1.5]),
    banned=st.sampled_from([(), (0,), (2, 3)]),
    earliest=st.integers(0, 1),
)


@settings(max_examples=60)
@given(rules=RULES, width=st.integers(1, 6), wanted=st.integers(1, 6), seed=st.integers(0, 99), vocabulary=st.integers(5, 8))
def test_a_beam_is_the_one_written_naively(rules: Rules, width: int, wanted: int, seed: int, vocabulary: int) -> None:
    stepper, wanted = ScriptedStepper(vocabulary, seed), min(wanted, width)
    for source, ours in zip(SOURCES, found(stepper, SOURCES, rules, width=width, wanted=wanted), strict=True):
        agree(ours, plain_beam(stepper, source, width, wanted, rules))


@settings(max_examples=40)
@given(rules=RULES, width=st.integers(1, 6), seed=st.integers(0, 99), strategy=st.sampled_from(["beam", "greedy", "sample"]))
def test_an_input_is_translated_the_same_alone_as_beside_others(rules: Rules, width: int, seed: int, strategy: str) -> None:
    stepper = ScriptedStepper(9, seed)
    wanted = width if strategy == "beam" else 1
    together = found(stepper, SOURCES, rules, width=width, wanted=wanted, strategy=strategy, watch=True)
    for number, (source, beside) in enumerate(zip(SOURCES, together, strict=True)):
        (alone,) = found(stepper, [source], rules, width=width, wanted=wanted, strategy=strategy, numbers=[number], watch=True)
        assert [one.tokens.tolist() for one in alone] == [one.tokens.tolist() for one in beside]
        assert [(one.score, one.log_probability, one.finished) for one in alone] == [
            (one.score, one.log_probability, one.finished) for one in beside
        ]
        for one, other in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(one.watched["attention"], other.watched["attention"][:, : len(source)])
            assert not other.watched["attention"][:, len(source) :].any()


@settings(max_examples=40)
@given(seed=st.integers(0, 999), width=st.integers(2, 6), alpha=st.sampled_from([0.0, 1.0]), places=st.sampled_from([None, 0, 1]))
def test_the_best_are_distinct_sorted_and_what_their_own_tokens_make(seed: int, width: int, alpha: float, places: int | None) -> None:
    stepper, rules = ScriptedStepper(5, seed, round_to=places), Rules(6, alpha, 0.3)
    for source, ours in zip(SOURCES, found(stepper, SOURCES, rules, width=width, wanted=width, watch=True), strict=True):
        assert 1 <= len(ours) <= width
        assert len({tuple(one.tokens.tolist()) for one in ours}) == len(ours)
        for kind in (True, False):
            ranked = [one.score for one in ours if one.finished is kind]
            assert ranked == sorted(ranked, reverse=True)
        assert [one.finished for one in ours] == sorted((one.finished for one in ours), reverse=True)
        for one in ours:
            tokens = tuple(one.tokens.tolist())
            assert END not in tokens[:-1]
            assert (tokens[-1] == END) == one.finished
            agree([one], [scored(stepper, source, tokens, rules)])
            _, attention = steps(stepper, source, tokens[:-1])
            np.testing.assert_array_equal(one.watched["attention"][:, : len(source)], attention)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_width_one_is_greedy_and_greedy_is_generation_that_stops(seed: int, alpha: float) -> None:
    stepper, rules = ScriptedStepper(6, seed), Rules(7, alpha)
    narrow = found(stepper, SOURCES, rules, width=1)
    greedy = found(stepper, SOURCES, rules, strategy="greedy")
    assert [one[0].tokens.tolist() for one in narrow] == [one[0].tokens.tolist() for one in greedy]
    np.testing.assert_allclose([one[0].score for one in narrow], [one[0].score for one in greedy], rtol=1e-12)
    generated = generate(
        stepper, [[START]] * len(SOURCES), Sampling("greedy"), 7, stop_ids=[END], inputs=stepper.inputs(SOURCES), with_scores=True
    ).result()
    assert [one[0].tokens.tolist() for one in greedy] == [row.tolist() for row in generated.tokens]
    assert [one[0].finished for one in greedy] == list(generated.stopped)
    assert generated.log_probabilities is not None
    sums = [row.sum() for row in generated.log_probabilities]
    np.testing.assert_allclose([one[0].log_probability for one in greedy], sums, rtol=1e-12)


def test_sampling_is_generation_that_stops() -> None:
    stepper = ScriptedStepper(12, 4)
    inputs = stepper.inputs(SOURCES)
    chosen = SearchSettings(strategy="sample", temperature=0.8, top_k=6, top_p=0.95)
    ours = search(stepper, inputs, 4, START, END, chosen, max_length=9, seed=3, numbers=[5, 6, 7, 8])
    generated = generate(stepper, [[START]] * 4, Sampling("sample", 0.8, 6, 0.95), 9, 3, stop_ids=[END], inputs=inputs, first_row=5)
    # The prompt has one token, after which a row of generation takes its first random number, as a search does.
    assert [one[0].tokens.tolist() for one in ours] == [row.tolist() for row in generated.result().tokens]
    again = search(stepper, inputs, 4, START, END, chosen, max_length=9, seed=4)
    assert [one[0].tokens.tolist() for one in again] != [one[0].tokens.tolist() for one in ours]


@pytest.mark.parametrize("strategy", ["beam", "greedy", "sample"])
def test_lengths_and_bans_are_kept(strategy: str) -> None:
    stepper = ScriptedStepper(6, 8)
    rules = Rules(9, banned=(3, 4), earliest=4)
    for ours in found(stepper, SOURCES, rules, width=4, strategy=strategy):
        (best,) = ours
        assert len(best.tokens) <= 9
        assert not set(best.tokens.tolist()) & {3, 4}
        assert END not in best.tokens.tolist()[:4]
    each = [1, 3, 2, 6]
    chosen = SearchSettings(strategy=strategy, banned=(END,))  # type: ignore[arg-type]
    limited = search(stepper, stepper.inputs(SOURCES), 4, START, END, chosen, max_length=each)
    assert [len(one[0].tokens) for one in limited] == each
    assert not any(one[0].finished for one in limited)


def test_a_memory_is_held_once_and_moves_only_when_an_input_is_done() -> None:
    stepper = ScriptedStepper(40, 5)
    sources = [[number % 9 + 1, number] for number in range(12)]
    found(stepper, sources, Rules(25), width=5)
    assert stepper.rows[:2] == [12, 60]
    # Beams are reordered after every step but the last; the memory is taken only where an input was done.
    assert stepper.takes.count("code") == len(stepper.rows) - 1
    falls = sum(after < before for before, after in itertools.pairwise(stepper.inputs_left))
    assert 0 < stepper.takes.count("memory") == falls < len(stepper.rows) - 1
    assert all(inputs <= rows <= 5 * inputs for inputs, rows in zip(stepper.inputs_left, stepper.rows, strict=True))


class Tables:
    """One input, whose log-probabilities at each step are by the last token: ``tables[step][token]``."""

    def __init__(self, tables: Sequence[dict[int, Sequence[float]]]) -> None:
        self.tables = tables

    def start(self, inputs: Any, rows: int) -> State:
        return State({}, {"step": np.zeros(rows, np.int64)}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        # What no hypothesis has reached has any table.
        rows = [
            self.tables[step].get(token, [0.25] * 4) for step, token in zip(state.carried["step"].tolist(), tokens.tolist(), strict=True)
        ]
        with np.errstate(divide="ignore"):
            logits = np.log(np.array(rows, np.float32))
        return Stepped(logits, State({}, {"step": state.carried["step"] + 1}, state.rows, state.width), {})

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        return state.select(rows, width, lambda value, chosen: value[chosen])

    def inputs(self, sources: Any) -> dict[str, np.ndarray]:
        return {}


def test_length_penalty_by_hand() -> None:
    # "2 end" has probability 0.55, "2 3 2 end" has 0.45: the shorter wins by probability, and the longer with enough of a penalty.
    stepper = Tables([{0: [0, 0, 1, 0]}, {2: [0, 0.55, 0, 0.45]}, {3: [0, 0, 1, 0]}, {2: [0, 1, 0, 0]}])
    for alpha, first in ((0.0, (2, END)), (1.0, (2, END)), (2.0, (2, 3, 2, END))):
        ours = found(stepper, [[1]], Rules(4, alpha), width=2, wanted=2)[0]
        assert tuple(ours[0].tokens.tolist()) == first
        scores = {len(one.tokens): one.score for one in ours}
        assert math.isclose(scores[2], math.log(0.55) / (7 / 6) ** alpha, rel_tol=1e-6)
        assert math.isclose(scores[4], math.log(0.45) / (9 / 6) ** alpha, rel_tol=1e-6)


def test_coverage_penalty_by_hand() -> None:
    # Over both tokens the first place got 0.5 + 0.7, which counts as 1, the second 0.2 and the third 0.4.
    attention = np.array([1.2, 0.2, 0.4])
    assert math.isclose(coverage_penalty(attention, 0.3), 0.3 * (math.log(0.2) + math.log(0.4)), rel_tol=1e-12)
    assert coverage_penalty(attention, 0.3, np.array([True, False, False])) == 0
    assert coverage_penalty(np.zeros(2), 1.0) > -200
    assert length_penalty(1, 0.7) == 1
    assert math.isclose(length_penalty(13, 0.5), math.sqrt(3), rel_tol=1e-12)


def test_the_search_stops_when_no_open_hypothesis_can_win() -> None:
    # The end has 0.6 at once; what goes on has 0.4, and cannot make more of it.
    stepper = ScriptedStepper(4, 0, memory=False)
    stepper.table[:] = np.log(np.float32([0.1, 0.6, 0.15, 0.15]))
    found(stepper, [[1]], Rules(50), width=3)
    assert len(stepper.rows) == 1
    stepper.rows.clear()
    # With a length penalty a longer one might.
    found(stepper, [[1]], Rules(50, alpha=2.0), width=3)
    assert len(stepper.rows) > 1


def test_equals_are_told_apart_by_beam_and_token() -> None:
    stepper = ScriptedStepper(5, 0, memory=False)
    stepper.table[:] = 0
    stepper.table[:, END] = -30
    ours = found(stepper, [[1]], Rules(2), width=3, wanted=3)[0]
    assert [one.tokens.tolist() for one in ours] == [[0, 0], [0, 2], [0, 3]]
    assert found(stepper, [[1]], Rules(3), width=1)[0][0].tokens.tolist() == [0, 0, 0]


def test_a_vocabulary_smaller_than_the_beam() -> None:
    stepper = ScriptedStepper(3, 3)
    rules = Rules(3)
    for source, ours in zip(SOURCES, found(stepper, SOURCES, rules, width=50, wanted=50), strict=True):
        agree(ours, every_sequence(stepper, source, rules))


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(1, 700), st.integers(1, 12), st.integers(0, 99), st.sampled_from([None, 0]))
def test_largest_is_the_start_of_a_stable_sort(rows: int, numbers: int, count: int, seed: int, places: int | None) -> None:
    values = np.random.Generator(np.random.PCG64(seed)).normal(size=(rows, numbers))
    values = values if places is None else values.round(places)
    values[:, ::7] = -np.inf
    np.testing.assert_array_equal(largest(values, count), np.argsort(-values, axis=1, kind="stable")[:, :count])


def test_what_is_watched_is_kept_only_where_it_is_asked_for() -> None:
    stepper = ScriptedStepper(6, 2)
    assert all(not one.watched for ours in found(stepper, SOURCES, Rules(5), wanted=3) for one in ours)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": "beem"}, r"decoding strategy is 'beem'; expected greedy, sample or beam \(did you mean 'beam'\?\)"),
        ({"beam_width": 0}, "beam_width is 0; expected at least 1"),
        ({"beam_width": 2, "n_best": 3}, "n_best is 3; expected 1 to beam_width, which is 2"),
        ({"strategy": "greedy", "n_best": 2}, "n_best is 2; expected 1 to 1 with strategy greedy"),
        ({"n_best": 0}, "n_best is 0"),
        ({"length_penalty": -0.1}, "length_penalty is -0.1; expected a number from 0 on"),
        ({"coverage_penalty": math.nan}, "coverage_penalty is nan"),
        ({"min_length": -1}, "min_length is -1"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchSettings(**changed)


def test_wrong_lengths_and_no_inputs_are_refused() -> None:
    stepper = ScriptedStepper(5, 1)
    with pytest.raises(InputError, match="max_length is 3; expected more than min_length, which is 3"):
        found(stepper, SOURCES, Rules(3, earliest=3))
    with pytest.raises(InputError, match="expected at least one input"):
        search(stepper, {}, 0, START, END, SearchSettings(), max_length=3)


def test_coverage_without_attention_is_refused() -> None:
    for strategy in ("beam", "greedy"):
        with pytest.raises(InputError, match=r"attention weights of one layer; this model has none; set coverage_penalty=0"):
            found(ScriptedStepper(5, 1, memory=False), SOURCES, Rules(3, beta=0.2), strategy=strategy)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error(bad: float) -> None:
    stepper = ScriptedStepper(5, 1)
    stepper.table[:, 3] = bad
    with pytest.raises(DecodingError, match="logits of row 0 are not finite"):
        found(stepper, SOURCES, Rules(3))


def test_wrong_bans_are_refused() -> None:
    for strategy in ("beam", "greedy"):
        with pytest.raises(InputError, match=r"banned id 9 is not in the vocabulary of 4 tokens"):
            found(ScriptedStepper(4, 1), SOURCES, Rules(4, banned=(9,)), strategy=strategy)
        with pytest.raises(InputError, match=r"all 4 tokens of the vocabulary are banned"):
            found(ScriptedStepper(4, 1), SOURCES, Rules(4, banned=(0, 1, 2, 3)), strategy=strategy)


def test_nothing_left_to_choose_is_an_error() -> None:
    with pytest.raises(DecodingError, match="no token can follow the 0 tokens of row 0: all are banned"):
        found(ScriptedStepper(4, 1), SOURCES, Rules(4, banned=(0, 2, 3), earliest=1))
