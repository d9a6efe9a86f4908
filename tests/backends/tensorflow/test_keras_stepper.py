"""The derived decoding step against the native model over whole sequences."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import Workshop, language_model

from framework.errors import InputError

pytestmark = pytest.mark.tensorflow

LOGGER = "tensorflow"

GRU = {"kind": "gru", "units": 7, "return_sequences": True}
TOKENS = np.random.default_rng(5).integers(0, 11, (3, 6))


def skipping() -> dict[str, Any]:
    """A model whose branches meet again."""
    return language_model(
        None,
        drop={"kind": "dropout", "rate": 0.5},
        first=GRU,
        second={**GRU, "inputs": "first", "reset_after": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
        joined={"kind": "concatenate", "axis": 2, "inputs": ["embedding", "second"]},
        normal={"kind": "layer_normalization"},
        squashed={"kind": "dense", "units": 7, "use_bias": False, "activation": "tanh"},
        summed={"kind": "add", "inputs": ["squashed", "first"]},
        active={"kind": "activation", "activation": "hard_sigmoid_tf2"},
    )


def masked(**gru: Any) -> dict[str, Any]:
    model = language_model(None, **{"gru": {**GRU, **gru}, "last": {**GRU, "use_bias": False}})
    model["layers"]["embedding"]["mask_zero"] = True
    return model


def masking_layer() -> dict[str, Any]:
    return language_model(None, relu={"kind": "activation", "activation": "relu"}, masking={"kind": "masking"}, gru=GRU)


def stateful() -> dict[str, Any]:
    return language_model(3, gru={**GRU, "stateful": True, "dropout": 0.4, "recurrent_dropout": 0.4})


def last_only() -> dict[str, Any]:
    return language_model(None, gru={**GRU, "return_sequences": False})


MODELS = {
    "plain": lambda: language_model(None),
    "skipping": skipping,
    "masked": masked,
    "masked with zeros": lambda: masked(zero_output_for_mask=True),
    "masking layer": masking_layer,
    "stateful with dropout": stateful,
    "last output only": last_only,
    "gates as wholes": lambda: language_model(None, gru={**GRU, "recurrent_activation": "softmax"}),
    "no recurrence": lambda: language_model(None, hidden={"kind": "dense", "units": 3}),
}


@pytest.mark.parametrize("name", MODELS)
def test_steps_and_prompts_give_what_the_model_gives(workshop: Workshop, name: str) -> None:
    trainee = workshop.trainee(MODELS[name]())
    whole = trainee.predict({"tokens": TOKENS.astype(np.int32)})["output"]
    stepper = trainee.stepper()
    state = stepper.start({}, 3)
    for time in range(6):
        logits, state = stepper.step(TOKENS[:, time], state)[:2]
        assert logits.dtype == np.float32
        if whole.ndim == 3:
            np.testing.assert_allclose(logits, whole[:, time], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(logits, whole[:, -1] if whole.ndim == 3 else whole, rtol=1e-5, atol=2e-6)
    # A prompt at once, and in two parts of other lengths, without another graph.
    at_once, state_at_once = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    _, between = stepper.step(TOKENS[:, :2], stepper.start({}, 3))[:2]
    in_parts, state_in_parts = stepper.step(TOKENS[:, 2:], between)[:2]
    for found, found_state in ((at_once, state_at_once), (in_parts, state_in_parts)):
        np.testing.assert_array_equal(found, logits)
        for key, value in state.carried.items():
            np.testing.assert_array_equal(found_state.carried[key], value)


@pytest.fixture(scope="module")
def plain(workshop: Workshop) -> Any:
    """A trainee and its stepper."""
    trainee = workshop.trainee(language_model(None))
    return trainee, trainee.stepper()


@settings(max_examples=25)
@given(rows=st.integers(1, 9), time=st.integers(1, 9), seed=st.integers(0, 99))
def test_any_number_of_rows_and_any_length(plain: Any, rows: int, time: int, seed: int) -> None:
    _, stepper = plain
    tokens = np.random.default_rng(seed).integers(0, 11, (rows, time))
    together, _ = stepper.step(tokens, stepper.start({}, rows))[:2]
    for row in range(rows):
        state = stepper.start({}, 1)
        for one in tokens[row]:
            alone, state = stepper.step(np.array([one]), state)[:2]
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-5, atol=2e-6)


def test_rows_can_be_chosen_and_repeated(plain: Any) -> None:
    _, stepper = plain
    _, state = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    assert set(state.carried) == {"gru/state"}
    rows = np.array([2, 0, 2, 2])
    chosen = stepper.select(state, rows)
    found, _ = stepper.step(np.full(4, 5), chosen)[:2]
    expected, _ = stepper.step(np.full(3, 5), state)[:2]
    np.testing.assert_allclose(found, expected[rows], rtol=1e-5, atol=2e-6)
    assert stepper.step(np.zeros(0, int), stepper.select(state, np.zeros(0, int)))[0].shape == (0, 11)


def test_a_stepper_keeps_the_weights_that_it_was_made_with(plain: Any) -> None:
    trainee, stepper = plain
    before, _ = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    weights = trainee.weights()
    trainee.set_weights({name: 2 * value for name, value in weights.items()})
    again, _ = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    new = trainee.stepper()
    other, _ = new.step(TOKENS, new.start({}, 3))[:2]
    trainee.set_weights(weights)
    np.testing.assert_array_equal(again, before)
    assert np.abs(other - before).max() > 0.01


def test_a_table_too_large_to_fold_gives_the_same(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee, folded = plain
    monkeypatch.setattr("framework.builder.step.LARGEST_TABLE", 0)
    stepper = trainee.stepper()
    found, _ = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    expected, _ = folded.step(TOKENS, folded.start({}, 3))[:2]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def test_bfloat16_training_steps_in_float32(workshop: Workshop, plain: Any) -> None:
    trainee, exact = plain
    mixed = workshop.trainee(language_model(None), weights=trainee.weights(), precision="bf16-mixed").stepper()
    state = mixed.start({}, 3)
    assert state.carried["gru/state"].dtype == "float32"
    np.testing.assert_array_equal(mixed.step(TOKENS, state)[0], exact.step(TOKENS, exact.start({}, 3))[0])


def test_float64_steps_in_float64(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(None), precision="64-true")
    stepper = trainee.stepper()
    logits, state = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    assert state.carried["gru/state"].dtype == "float64"
    whole = trainee.predict({"tokens": TOKENS.astype(np.int32)})["output"]
    np.testing.assert_array_equal(logits, whole[:, -1].astype(np.float32))


def test_prompts_without_a_step(plain: Any) -> None:
    _, stepper = plain
    for tokens in (np.zeros((3, 0), int), np.zeros((3, 1, 1), int), np.array(4)):
        with pytest.raises(InputError, match=r"tokens have the shape .* expected \(rows,\), or \(rows, time\) with at least one step"):
            stepper.step(tokens, stepper.start({}, 3))


def test_layers_beside_the_way_need_no_step_form(workshop: Workshop) -> None:
    model = language_model(None, backwards={**GRU, "go_backwards": True}, gru={**GRU, "inputs": "embedding"})
    model["outputs"] = {"output": "logits", "aside": "backwards"}
    trainee = workshop.trainee(model)
    stepper = trainee.stepper()
    logits, _ = stepper.step(TOKENS, stepper.start({}, 3))[:2]
    np.testing.assert_allclose(logits, trainee.predict({"tokens": TOKENS.astype(np.int32)})["output"][:, -1], rtol=1e-5, atol=2e-6)


def test_a_new_step_for_each_epochs_samples_is_nothing_to_warn_of(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    trainee = workshop.trainee(language_model(None, gru=GRU))
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        for _ in range(8):
            trainee.stepper().start({}, 2)
    assert "retracing" not in caplog.text
