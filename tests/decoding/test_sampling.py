"""The choice of a token: against a plain Python reference, by properties, by distribution, and its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framework.decoding.sampling import DecodingError, Sampler, Sampling, log_probabilities
from framework.errors import InputError
from framework.spec.decoding import DecodingSpec

LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(2, 12)),
    # Steps of 2^-16: smaller differences are lost in probabilities, and the reference loses others than float64 arrays do.
    elements=st.one_of(st.integers(-3, 3).map(float), st.integers(-20 * 2**16, 20 * 2**16).map(lambda number: number / 2**16)),
)
UNIFORM = st.integers(0, 2**32 - 1).map(lambda number: (number + 0.5) / 2**32)


def reference_weights(logits: list[float], sampling: Sampling) -> list[float]:
    """Probabilities of one row in plain Python; ids that are ruled out have 0."""
    scores = [-math.inf if token in sampling.banned else logit / sampling.temperature for token, logit in enumerate(logits)]
    by_rank = sorted(range(len(scores)), key=lambda token: (-scores[token], token))
    by_rank = [token for token in by_rank if scores[token] > -math.inf][: sampling.top_k]
    weights = {token: math.exp(scores[token] - scores[by_rank[0]]) for token in by_rank}
    if sampling.top_p is not None and sampling.top_p < 1:
        whole, reached, kept = math.fsum(weights.values()), 0.0, {}
        for token in by_rank:
            if reached >= sampling.top_p * whole:
                break
            kept[token] = weights[token]
            reached += weights[token]
        weights = kept
    whole = math.fsum(weights.values())
    return [weights.get(token, 0.0) / whole for token in range(len(logits))]


def choose(logits: np.ndarray, uniforms: np.ndarray | list[float], **options: object) -> list[int]:
    return Sampler(Sampling(**options)).choose(np.atleast_2d(logits), np.asarray(uniforms, np.float64)).tolist()  # type: ignore[arg-type]


def options(vocabulary: int) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "temperature": st.sampled_from([1.0, 0.3, 2.5]),
            "top_k": st.one_of(st.none(), st.integers(1, vocabulary + 2)),
            "top_p": st.one_of(st.none(), st.sampled_from([0.02, 0.31, 0.77, 0.999, 1.0])),
            "banned": st.sets(st.integers(0, vocabulary - 1), max_size=vocabulary - 1).map(lambda ids: tuple(sorted(ids))),
        }
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_draws_by_inverse_cumulative_probability_as_the_reference(data: st.DataObject) -> None:
    logits = data.draw(LOGITS)
    chosen = data.draw(options(logits.shape[1]))
    uniforms = data.draw(st.lists(UNIFORM, min_size=len(logits), max_size=len(logits)))
    before = logits.copy()
    tokens = choose(logits, uniforms, **chosen)
    np.testing.assert_array_equal(logits, before)
    for row, (token, uniform) in enumerate(zip(tokens, uniforms, strict=True)):
        weights = reference_weights(logits[row].astype(float).tolist(), Sampling(**chosen))
        assert weights[token] > 0
        below, upto = math.fsum(weights[:token]), math.fsum(weights[: token + 1])
        assert below - 1e-12 <= uniform <= upto + 1e-12


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_row_is_drawn_the_same_alone_and_in_a_batch(data: st.DataObject) -> None:
    logits = data.draw(LOGITS)
    chosen = data.draw(options(logits.shape[1]))
    uniforms = data.draw(st.lists(UNIFORM, min_size=len(logits), max_size=len(logits)))
    together = choose(logits, uniforms, **chosen)
    alone = [choose(row, [uniform], **chosen)[0] for row, uniform in zip(logits, uniforms, strict=True)]
    assert together == alone


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_top_k_1_tiny_top_p_and_tiny_temperature_are_greedy(data: st.DataObject) -> None:
    logits = data.draw(LOGITS)
    uniforms = data.draw(st.lists(UNIFORM, min_size=len(logits), max_size=len(logits)))
    banned = data.draw(options(logits.shape[1]))["banned"]
    greedy = choose(logits, uniforms, strategy="greedy", banned=banned)
    hidden = logits.copy()
    hidden[:, list(banned)] = -np.inf
    assert greedy == hidden.argmax(axis=1).tolist()
    assert choose(logits, uniforms, top_k=1, banned=banned) == greedy
    assert choose(logits, uniforms, top_k=1, temperature=1e15, banned=banned) == greedy
    assert choose(logits, uniforms, top_p=1e-300, banned=banned) == greedy
    if all(len(set(row)) == len(row) for row in hidden[:, [t for t in range(hidden.shape[1]) if t not in banned]].tolist()):
        assert choose(logits, uniforms, temperature=1e-300, banned=banned) == greedy


def test_temperature_divides_logits() -> None:
    logits = np.log(np.float64([[0.5, 0.3, 0.2]]))
    for uniform in np.linspace(0.01, 0.99, 50):
        scaled = np.exp(logits / 2.0)
        expected = int(np.searchsorted(np.cumsum(scaled / scaled.sum()), uniform))
        assert choose(logits, [uniform], temperature=2.0) == [expected]


def test_ties_at_the_border_keep_the_lower_ids() -> None:
    logits = np.float32([[1, 2, 1, 2, 1, 0]])
    drawn = {choose(logits, [uniform], top_k=3)[0] for uniform in np.linspace(0, 1, 101)[:-1]}
    assert drawn == {0, 1, 3}
    drawn = {choose(np.zeros((1, 4), np.float32), [uniform], top_p=0.5)[0] for uniform in np.linspace(0, 1, 101)[:-1]}
    assert drawn == {0, 1}


def test_a_difference_too_small_for_probabilities_still_ranks() -> None:
    logits = np.float32([[0.0, 1e-30, -1.0]])
    for chosen in ({"strategy": "greedy"}, {"top_k": 1}, {"top_p": 1e-9}, {"top_p": 1e-9, "temperature": 1e6}, {"temperature": 1e-300}):
        assert choose(logits, [0.4], **chosen) == [1]


def test_top_p_is_applied_to_what_top_k_leaves() -> None:
    logits = np.log(np.float32([[0.4, 0.3, 0.2, 0.1]]))
    # Of the best three, 0.4 and 0.3 are 7/9: 0.75 of the nine needs both, 0.8 needs the third.
    uniforms = np.linspace(0, 1, 201)[:-1]
    assert {choose(logits, [u], top_k=3, top_p=0.75)[0] for u in uniforms} == {0, 1}
    assert {choose(logits, [u], top_k=3, top_p=0.8)[0] for u in uniforms} == {0, 1, 2}
    assert {choose(logits, [u], top_p=0.75)[0] for u in uniforms} == {0, 1, 2}


@pytest.mark.parametrize(
    "chosen",
    [{}, {"temperature": 0.5}, {"top_k": 4}, {"top_p": 0.8}, {"banned": (2,)}, {"top_k": 4, "top_p": 0.9, "temperature": 1.7}],
    ids=str,
)
def test_frequencies_are_the_probabilities(chosen: dict[str, object]) -> None:
    logits = np.float32([1.2, -0.3, 0.9, 0.0, -2.0, 0.5])
    rows, steps = 4000, 10
    random = np.random.Generator(np.random.PCG64(17))
    sampler = Sampler(Sampling(**chosen))  # type: ignore[arg-type]
    counts = np.zeros(6)
    for _ in range(steps):
        counts += np.bincount(sampler.choose(np.tile(logits, (rows, 1)), random.random(rows)), minlength=6)
    expected = rows * steps * np.array(reference_weights(logits.astype(float).tolist(), sampler.sampling))
    assert (counts[expected == 0] == 0).all()
    possible = expected > 0
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    # Mean 5 at most; above 30 with a probability below 2e-5. A wrong order of top-k and top-p gives thousands.
    assert chi_square < 30


def test_extreme_uniforms_never_draw_what_is_ruled_out() -> None:
    logits = np.float32([[0.0, 1.0, 2.0, 0.5], [0.0, 1.0, 2.0, 0.5]])
    last = np.nextafter(1.0, 0.0)
    assert choose(logits, [0.0, last], banned=(0, 3)) == [1, 2]
    assert choose(logits[:1], [0.0], banned=(0, 3)) == [1]
    assert choose(logits[:1], [last], banned=(0, 3)) == [2]


def test_underflowing_probabilities_are_no_error() -> None:
    logits = np.float32([[-1e30, 0.0, 3e38, -np.inf]])
    for chosen in ({}, {"temperature": 1e-300}, {"top_k": 3}, {"top_p": 0.5}):
        assert choose(logits, [0.999999], **chosen) == [2]


def test_one_sampler_follows_the_number_of_rows() -> None:
    sampler = Sampler(Sampling(top_k=2))
    logits = np.float32(np.random.Generator(np.random.PCG64(3)).normal(size=(6, 9)))
    uniforms = np.full(6, 0.4)
    whole = sampler.choose(logits, uniforms)
    assert whole.dtype == np.int32
    np.testing.assert_array_equal(sampler.choose(logits[2:4], uniforms[2:4]), whole[2:4])
    np.testing.assert_array_equal(sampler.choose(logits[5:], uniforms[5:]), whole[5:])
    np.testing.assert_array_equal(sampler.choose(logits, uniforms), whole)


def test_log_probabilities() -> None:
    logits = np.float32([[0.0, 1.0, -1000.0], [500.0, 500.0, 500.0]])
    given_logs = log_probabilities(logits, np.array([1, 2]))
    np.testing.assert_allclose(given_logs, [1 - math.log(1 + math.e), -math.log(3)], rtol=1e-12)
    assert log_probabilities(logits, np.array([2, 0]))[0] < -1000


def test_from_a_config() -> None:
    spec = DecodingSpec(strategy="sample", temperature=0.7, top_k=5, top_p=0.9)
    assert Sampling.of(spec, (3,)) == Sampling("sample", 0.7, 5, 0.9, (3,))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"strategy": "gredy"}, r"decoding strategy is 'gredy'; expected greedy or sample \(did you mean 'greedy'\?\)"),
        ({"strategy": "beam"}, r"decoding strategy is 'beam'; expected greedy or sample$"),
        ({"temperature": 0.0}, r"temperature is 0.0; expected a number above 0 \(for the most likely token: strategy greedy\)"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0; expected a whole number from 1 on, or none"),
        ({"top_p": 0.0}, "top_p is 0.0; expected a number above 0 and at most 1, or none"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_wrong_options_are_refused(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**chosen)  # type: ignore[arg-type]


def test_wrong_bans_are_refused() -> None:
    with pytest.raises(InputError, match=r"banned id 3 is not in the vocabulary of 3 tokens \(0 to 2\)"):
        choose(np.zeros((1, 3)), [0.5], banned=(3,))
    with pytest.raises(InputError, match="all 3 tokens of the vocabulary are banned; at least one must be left"):
        choose(np.zeros((1, 3)), [0.5], banned=(0, 1, 2, 2))


@pytest.mark.parametrize("strategy", ["greedy", "sample"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rows", [1, 3])
def test_logits_that_are_no_numbers_are_an_error(strategy: str, bad: float, rows: int) -> None:
    logits = np.zeros((rows, 4), np.float32)
    logits[-1, 2] = bad
    with pytest.raises(DecodingError, match=rf"logits of row {rows - 1} are not finite \(largest: {bad}\)"):
        choose(logits, np.full(rows, 0.5), strategy=strategy)
