"""Generation over a tiny NumPy GRU: fixed texts, prompts of different lengths, ends of rows, streaming, results, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.decoding.generate import NOTHING, GenerationResult, generate
from framework.decoding.sampling import DecodingError, Sampling
from framework.errors import InputError

GREEDY = Sampling("greedy")
SAMPLE = Sampling(temperature=0.9)


def texts(stepper: Any, prompts: list[list[int]], sampling: Sampling = SAMPLE, length: int = 12, **more: Any) -> list[list[int]]:
    return [row.tolist() for row in generate(stepper, prompts, sampling, length, **more).result().tokens]


def by_hand(stepper: Any, prompt: list[int], temperature: float | None, length: int, seed: int, row: int = 0) -> list[int]:
    """One row, the whole text read anew for every token."""
    uniforms = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(row,)))).random(length)
    text = list(prompt)
    for uniform in uniforms:
        logits = stepper.step(np.array([text]), stepper.start({}, 1))[0][0].astype(np.float64)
        if temperature is None:
            text.append(int(logits.argmax()))
            continue
        weights = [math.exp(logit / temperature) for logit in logits]
        whole = math.fsum(weights)
        text.append(next(token for token in range(len(weights)) if math.fsum(weights[: token + 1]) / whole > uniform))
    return text[len(prompt) :]


def test_known_texts(stepper: Any) -> None:
    """Fixed once: a change here changes every sample of every seed."""
    prompts = [[1, 2, 3], [7]]
    greedy = [[2, 9, 10, 0, 2, 2, 1, 2, 9, 10, 0, 2], [0, 9, 0, 2, 2, 2, 1, 2, 9, 10, 0, 2]]
    drawn = [[3, 7, 0, 1, 2, 9, 0, 2, 2, 1, 2, 9], [2, 2, 8, 5, 4, 7, 0, 4, 4, 4, 4, 4]]
    narrowed = [[2, 9, 0, 1, 2, 9, 0, 2, 2, 1, 2, 9], [0, 2, 8, 8, 7, 8, 5, 4, 4, 4, 4, 4]]
    assert texts(stepper, prompts, GREEDY, seed=5) == greedy
    assert texts(stepper, prompts, Sampling(), seed=5) == drawn
    assert texts(stepper, prompts, Sampling(temperature=0.8, top_k=4, banned=(3,)), seed=5) == narrowed


@pytest.mark.parametrize("temperature", [None, 0.8])
def test_state_carried_is_the_text_read_anew(stepper: Any, temperature: float | None) -> None:
    sampling = GREEDY if temperature is None else Sampling(temperature=temperature)
    assert texts(stepper, [[4, 0, 9]], sampling, 40, seed=3) == [by_hand(stepper, [4, 0, 9], temperature, 40, 3)]
    rows = texts(stepper, [[4, 0], [9, 9], [4, 0]], sampling, 20, seed=3)
    assert rows == [by_hand(stepper, prompt, temperature, 20, 3, row) for row, prompt in enumerate([[4, 0], [9, 9], [4, 0]])]


PROMPTS = st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=9), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROMPTS, st.integers(1, 9), st.sets(st.integers(0, 10), max_size=3), st.sampled_from([SAMPLE, GREEDY, Sampling(top_k=3, top_p=0.9)]))
def test_a_row_writes_the_same_alone_as_beside_others(
    stepper: Any, prompts: list[list[int]], length: int, stop_ids: set[int], sampling: Sampling
) -> None:
    together = generate(stepper, prompts, sampling, length, seed=2, stop_ids=sorted(stop_ids), with_scores=True).result()
    for row, prompt in enumerate(prompts):
        alone = generate(stepper, [prompt], sampling, length, seed=2, first_row=row, with_scores=True).result()
        text = alone.tokens[0].tolist()
        ends = [index for index, token in enumerate(text) if token in stop_ids]
        upto = ends[0] + 1 if ends else length
        assert together.tokens[row].tolist() == text[:upto]
        assert together.stopped[row] == bool(ends)
        assert together.log_probabilities is not None
        assert alone.log_probabilities is not None
        np.testing.assert_array_equal(together.log_probabilities[row], alone.log_probabilities[0][:upto])


def test_seed_and_row_number_make_the_text(stepper: Any) -> None:
    same = [[5, 6]] * 3
    first = texts(stepper, same, length=20, seed=1)
    assert first == texts(stepper, same, length=20, seed=1)
    assert len({tuple(row) for row in first}) == 3
    assert texts(stepper, same, length=20, seed=2) != first
    assert texts(stepper, same[:1], length=20, seed=1, first_row=2) == first[2:]


def test_prompts_of_one_length_are_read_in_one_call(stepper: Any) -> None:
    texts(stepper, [[1, 2, 3, 4], [5, 6, 7, 8]], length=3)
    assert stepper.calls == [(2, 4), (2,), (2,)]


def test_a_shorter_prompt_goes_on_while_a_longer_one_is_read(stepper: Any) -> None:
    steps = [step.tolist() for step in generate(stepper, [[1, 2], [3, 4, 5, 6], [7, 8, 9]], GREEDY, 4)]
    assert stepper.calls == [(3, 2), (3,), (3,), (3,), (3,), (1,)]
    assert [[token != NOTHING for token in step] for step in steps] == [
        [True, False, False],
        [True, False, True],
        [True, True, True],
        [True, True, True],
        [False, True, True],
        [False, True, False],
    ]


def test_rows_that_are_done_leave_the_batch(stepper: Any) -> None:
    prompts = [[1], [2], [3], [4, 5, 6, 7, 8, 9, 10, 0, 1]]
    result = generate(stepper, prompts, GREEDY, 3).result()
    # Three of four rows end at once; what is left of the long prompt is read in one call.
    assert stepper.calls == [(4, 1), (4,), (4,), (1, 6), (1,), (1,)]
    assert stepper.selected == [[3]]
    assert [len(row) for row in result.tokens] == [3, 3, 3, 3]


def test_one_done_row_of_three_stays_until_half_are(stepper: Any) -> None:
    generate(stepper, [[1], [2, 3], [4, 5, 6]], GREEDY, 2).result()
    assert stepper.calls == [(3, 1), (3,), (3,), (1,)]
    assert stepper.selected == [[2]]


def test_stop_ids_end_a_row_and_are_its_last_token(stepper: Any) -> None:
    free = texts(stepper, [[1, 2, 3], [7]], GREEDY, 12)
    result = generate(stepper, [[1, 2, 3], [7]], GREEDY, 12, stop_ids=[10]).result()
    assert [row.tolist() for row in result.tokens] == [row[: row.index(10) + 1] for row in free]
    assert result.stopped == (True, True)
    assert generate(stepper, [[7]], GREEDY, 3, stop_ids=[10]).result().stopped == (False,)


def test_tokens_stream_one_model_step_at_a_time(stepper: Any) -> None:
    stream = generate(stepper, [[1, 2]], SAMPLE, 3)
    assert stepper.calls == []
    heard = []
    for step in stream:
        assert step.dtype == np.int32
        heard.append(step.item())
        assert len(stepper.calls) == len(heard)
        # Whoever reads may keep or change what is given.
        step[:] = 0
    assert [heard] == [row.tolist() for row in stream.result().tokens]
    assert next(stream, None) is None


def test_listener_hears_every_step(stepper: Any) -> None:
    heard: list[int] = []
    result = generate(stepper, [[1, 2]], SAMPLE, 5, on_tokens=lambda step: heard.append(step.item())).result()
    assert heard == result.tokens[0].tolist()


def test_result_of_a_stream_read_in_part_is_the_whole(stepper: Any) -> None:
    stream = generate(stepper, [[1, 2]], SAMPLE, 6, seed=4)
    first = [next(stream).item(), next(stream).item()]
    result = stream.result()
    assert result.tokens[0].tolist()[:2] == first
    assert len(result.tokens[0]) == 6
    assert result.tokens[0].tolist() == texts(stepper, [[1, 2]], SAMPLE, 6, seed=4)[0]


def test_scores_are_the_models_own_log_probabilities(stepper: Any) -> None:
    result = generate(stepper, [[3, 1]], Sampling(temperature=3.0, top_k=5), 8, with_scores=True).result()
    assert result.log_probabilities is not None
    text = [3, 1, *result.tokens[0].tolist()]
    for index, score in enumerate(result.log_probabilities[0]):
        logits = stepper.step(np.array([text[: index + 2]]), stepper.start({}, 1))[0][0].astype(np.float64)
        np.testing.assert_allclose(score, logits[text[index + 2]] - np.log(np.exp(logits).sum()), rtol=1e-12)
    assert generate(stepper, [[3, 1]], SAMPLE, 2).result().log_probabilities is None


def test_speed_counts_generated_tokens_over_own_time(stepper: Any) -> None:
    result = GenerationResult((np.zeros(30, np.int32), np.zeros(20, np.int32)), None, (False, False), seconds=0.25)
    assert result.count == 50
    assert result.tokens_per_second == 200
    measured = generate(stepper, [[1]], SAMPLE, 5).result()
    assert 0 < measured.seconds < 5
    assert GenerationResult((), None, (), 0.0).tokens_per_second == 0


@pytest.mark.parametrize(
    ("prompts", "more", "message"),
    [
        ([], {}, "there is no prompt; expected at least one"),
        ([[1], []], {}, "prompt 1 is empty; expected at least one token to start from"),
        ([[1], [2, -1]], {}, "prompt 1 holds the id -1; expected ids from 0 on"),
        ([[[1, 2]]], {}, r"prompt 0 has shape \(1, 2\) and type int64; expected a list of whole numbers"),
        (["abc"], {}, r"prompt 0 has shape \(\) and type <U3; expected a list of whole numbers"),
        ([[1]], {"length": 0}, "length is 0; expected at least 1 token to generate"),
        ([[1]], {"stop_ids": [3, -1]}, "stop id -1 is no token; expected ids from 0 on"),
        ([[1]], {"seed": -1}, "seed is -1 and first_row is 0; expected 0 or more"),
    ],
)
def test_wrong_input_is_refused_before_the_model_runs(stepper: Any, prompts: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(stepper, prompts, SAMPLE, **{"length": 3, **more})
    assert stepper.calls == []


def test_a_model_of_nan_is_an_error_not_a_text(stepper: Any) -> None:
    stepper.dense[0, 0] = np.nan
    with pytest.raises(DecodingError, match="logits of row 0 are not finite"):
        generate(stepper, [[1]], SAMPLE, 3).result()
