"""What every backend promises, driven through both: the events and figures of a training, its state, what it measures, how it decodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import ROWS, TIME, VOCABULARY, Listener, Windows, Workshop, language_model, slopes

from framework.backends.base.training import Position
from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.errors import CheckpointError, InputError, TrainingError, UnsupportedArgument
from framework.spec.optimizer import SGDSpec

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]

STATEFUL = language_model(gru={"kind": "gru", "units": 6, "return_sequences": True, "stateful": True})
PADDED = language_model(
    embedding={"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 5, "mask_zero": True},
    gru={"kind": "gru", "units": 6, "return_sequences": True},
)


@pytest.fixture(params=BACKENDS)
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(request.param)


# --- a training and its events


def test_events_come_in_order_with_positions_rates_and_tokens(workshop: Workshop) -> None:
    listener = Listener()
    workshop.trainee().fit(workshop.training(Windows(2), max_epochs=2), listener)
    assert listener.heard[0] == (Position(), 2)
    assert [type(one).__name__ for one in listener.heard[1:]] == ["StepResult", "StepResult", "EpochResult"] * 2
    assert [one.position for one in listener.steps] == [Position(0, 1, 1), Position(0, 2, 2), Position(1, 1, 3), Position(1, 2, 4)]
    assert [one.position for one in listener.epochs] == [Position(1, 0, 2), Position(2, 0, 4)]
    assert [one.count for one in listener.steps] == [ROWS * TIME] * 4
    assert [one.learning_rate for one in listener.steps] == pytest.approx([1e-2 / (1 + step) for step in range(4)])


def test_an_epochs_figures_are_over_all_its_targets(workshop: Workshop) -> None:
    listener = Listener()
    workshop.trainee().fit(workshop.training(Windows(3, rows={2: 1}), max_epochs=1), listener)
    (epoch,) = listener.epochs
    assert epoch.training.count == sum(one.count for one in listener.steps) == (2 * ROWS + 1) * TIME
    assert epoch.loss == pytest.approx(np.average([one.loss for one in listener.steps], weights=[one.count for one in listener.steps]))
    assert epoch.val_loss is None and epoch.seconds > 0


def test_a_training_gone_on_with_within_an_epoch_has_the_same_bits_and_figures(workshop: Workshop) -> None:
    """Stopped after the first step, in the middle, and after the last step of the epoch, whose end is then still to come."""
    layers = {"drop": {"kind": "dropout", "rate": 0.2}, "gru": {"kind": "gru", "units": 6, "return_sequences": True, "dropout": 0.1}}
    model = language_model(None, **layers)
    data, validation = Windows(3, rows={2: 1}, weighted=True), Windows(2, seed=5)
    whole, undisturbed = Listener(), workshop.trainee(model)
    undisturbed.fit(workshop.training(data, validation), whole)
    first, second = workshop.trainee(model), workshop.trainee(model)
    start = first.state()
    for stop in (1, 2, 3):
        parts = [Listener(stop_after_steps=stop), Listener()]
        first.load_state(start)
        first.fit(workshop.training(data, validation), parts[0])
        second.load_state(first.state())
        second.fit(workshop.training(data, validation, start=parts[0].steps[-1].position), parts[1])

        steps = [one for part in parts for one in part.steps]
        assert [(one.position, one.loss) for one in steps] == [(one.position, one.loss) for one in whole.steps]
        epochs = [one for part in parts for one in part.epochs]
        assert [(one.position, one.training, one.validation) for one in epochs] == [
            (one.position, one.training, one.validation) for one in whole.epochs
        ]
        assert all(value.tobytes() == second.weights()[name].tobytes() for name, value in undisturbed.weights().items())


def test_an_epochs_seconds_are_those_of_all_its_parts(workshop: Workshop) -> None:
    """What was spent before a training was taken up again counts; the state says how much that was."""
    first, listener = workshop.trainee(), Listener()
    first.fit(workshop.training(Windows(4)), Listener(stop_after_steps=3))
    state = first.state()
    state["progress/seconds"] = np.array(1000.0)
    second = workshop.trainee()
    second.load_state(state)
    second.fit(workshop.training(Windows(4), start=Position(0, 3, 3), max_epochs=1), listener)
    assert 1000.0 < listener.epochs[0].seconds < 1100.0


def test_validation_comes_when_due_from_zero_states_and_leaves_the_training_alone(workshop: Workshop) -> None:
    listener = Listener()
    trainee = workshop.trainee(STATEFUL)
    validation = Windows(2, seed=9)
    trainee.fit(workshop.training(Windows(2), validation, max_epochs=4, check_val_every_n_epoch=2), listener)
    assert [one.val_loss is None for one in listener.epochs] == [True, False, True, False]
    assert listener.epochs[-1].val_loss == pytest.approx(trainee.evaluate(validation).loss, rel=1e-6)
    without = workshop.trainee(STATEFUL)
    without.fit(workshop.training(Windows(2), max_epochs=4), Listener())
    assert all(value.tobytes() == without.state()[name].tobytes() for name, value in trainee.state().items() if "seconds" not in name)


@pytest.mark.parametrize("reset", [True, False])
def test_states_start_an_epoch_from_zeros_only_if_asked(workshop: Workshop, reset: bool) -> None:
    class Same(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            return super().epoch(0, start)

    listener = Listener()
    workshop.trainee(STATEFUL).fit(workshop.training(Same(1), rate=lambda step: 0.0, reset=reset, max_epochs=2), listener)
    assert (listener.steps[0].loss == listener.steps[1].loss) == reset


def test_it_stops_after_the_step_or_the_epoch_that_asks(workshop: Workshop) -> None:
    for listener, steps, epochs in [(Listener(stop_after_steps=3), 3, 1), (Listener(stop_after_epochs=1), 2, 1)]:
        workshop.trainee().fit(workshop.training(Windows(2), Windows(1), max_epochs=4), listener)
        assert (len(listener.steps), len(listener.epochs)) == (steps, epochs)


def test_an_epoch_left_after_its_last_step_is_validated_and_ended_first(workshop: Workshop) -> None:
    trainee, listener, data = workshop.trainee(), Listener(), Windows(2)
    trainee.fit(workshop.training(data), Listener(stop_after_steps=2))
    trainee.fit(workshop.training(data, Windows(1), start=Position(0, 2, 2)), listener)
    assert [one.position for one in listener.epochs] == [Position(1, 0, 2), Position(2, 0, 4)]
    assert all(one.val_loss is not None for one in listener.epochs)


def test_a_loss_that_is_not_finite_names_the_step(workshop: Workshop) -> None:
    class Poisoned(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            for position, batch in enumerate(super().epoch(epoch, start)):
                weights = np.full(batch.targets.shape, np.inf if position == 1 else 1.0, np.float32)
                yield type(batch)(batch.inputs, batch.targets, weights)

    with pytest.raises(TrainingError, match=r"step 2\b"):
        workshop.trainee().fit(workshop.training(Poisoned(3)), Listener())


def test_sgd_takes_the_gradient_of_one_batch(workshop: Workshop) -> None:
    trainee, data = workshop.trainee(), Windows(1)
    before, (loss, gradients) = trainee.weights(), trainee.loss_and_gradients(data.first())
    listener = Listener()
    trainee.fit(workshop.training(data, optimizer=SGDSpec(), rate=lambda step: 0.5, max_epochs=1), listener)
    assert listener.steps[0].loss == pytest.approx(loss, rel=1e-6)
    for name, value in trainee.weights().items():
        np.testing.assert_allclose(value, before[name] - 0.5 * gradients[name], atol=1e-6, err_msg=name)


# --- what is kept


def test_a_state_is_a_copy_in_named_parts(workshop: Workshop) -> None:
    trainee = workshop.trainee(STATEFUL)
    trainee.fit(workshop.training(Windows(3)), Listener(stop_after_steps=2))
    state = trainee.state()
    assert {name.partition("/")[0] for name in state} >= {"weights", "optimizer", "states", "progress"}
    kept = {name: value.copy() for name, value in state.items()}
    trainee.load_state(state)
    for value in state.values():
        value[...] = 0
    assert all(np.array_equal(value, kept[name]) for name, value in trainee.state().items())


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state | {"weights/gru/kernel": np.zeros((2, 2), np.float32)},
        lambda state: state | {"weights/nobody/kernel": np.zeros(1, np.float32)},
        lambda state: {name: value for name, value in state.items() if name != "weights/gru/kernel"},
        lambda state: state | {"nonsense/x": np.zeros(1)},
    ],
    ids=["shape", "unknown", "missing", "part"],
)
def test_a_state_that_does_not_fit_is_refused_by_name(workshop: Workshop, change: Any) -> None:
    trainee = workshop.trainee()
    with pytest.raises(CheckpointError, match=r"gru/kernel|nobody/kernel|nonsense"):
        trainee.load_state(change(trainee.state()))


def test_weights_go_out_and_in_as_copies_under_keras_names(workshop: Workshop) -> None:
    trainee = workshop.trainee()
    weights = trainee.weights()
    assert {name: value.shape for name, value in weights.items()} == {
        "embedding/embeddings": (VOCABULARY, 5),
        "gru/kernel": (5, 21),
        "gru/recurrent_kernel": (7, 21),
        "gru/bias": (2, 21),
        "logits/kernel": (7, VOCABULARY),
        "logits/bias": (VOCABULARY,),
    }
    other = {name: value + 1 for name, value in weights.items()}
    trainee.set_weights(other)
    for value in other.values():
        value[...] = 0
    assert all(np.array_equal(value, weights[name] + 1) for name, value in trainee.weights().items())


# --- what is measured


def test_measuring_changes_nothing(workshop: Workshop) -> None:
    trainee = workshop.trainee(STATEFUL)
    trainee.fit(workshop.training(Windows(3)), Listener(stop_after_steps=2))
    before, batch = trainee.state(), Windows(1, seed=4).first()
    trainee.evaluate(Windows(2))
    trainee.loss_and_gradients(batch)
    trainee.predict(batch.inputs)
    trainee.stepper().step(np.zeros((2, 3), np.int32), trainee.stepper().start({}, 2))
    assert all(np.array_equal(value, before[name]) for name, value in trainee.state().items())


def test_evaluation_is_a_mean_over_targets(workshop: Workshop) -> None:
    trainee, data = workshop.trainee(language_model(None)), Windows(3, rows={2: 1})
    losses = [(trainee.loss_and_gradients(batch)[0], batch.count) for batch in data.epoch(0)]
    assert trainee.evaluate(data).loss == pytest.approx(np.average([loss for loss, _ in losses], weights=[tokens for _, tokens in losses]))
    assert trainee.evaluate(data, limit=1).loss == pytest.approx(losses[0][0])


def test_the_loss_is_that_of_the_outputs(workshop: Workshop) -> None:
    trainee, batch = workshop.trainee(), Windows(1).first()
    (logits,) = trainee.predict(batch.inputs).values()
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    picked = np.take_along_axis(shifted, batch.targets[..., None].astype(np.int64), -1)[..., 0] - np.log(np.exp(shifted).sum(-1))
    assert trainee.loss_and_gradients(batch)[0] == pytest.approx(-picked.mean(), rel=1e-6)


def test_gradients_are_slopes_of_the_loss(workshop: Workshop) -> None:
    trainee, batch = workshop.trainee(language_model(), precision="64-true"), Windows(1).first()
    found, measured = slopes(trainee, batch)
    assert found == pytest.approx(measured, rel=1e-6)


# --- how it decodes

DECODED = {
    "one layer": {"gru": {"kind": "gru", "units": 7, "return_sequences": True}},
    "stacked": {
        "low": {"kind": "gru", "units": 5, "return_sequences": True},
        "drop": {"kind": "dropout", "rate": 0.5},
        "high": {"kind": "gru", "units": 7, "return_sequences": True, "reset_after": False},
    },
    "added": {
        "low": {"kind": "gru", "units": 5, "return_sequences": True},
        "sum": {"kind": "add", "inputs": ["embedding", "low"]},
        "norm": {"kind": "layer_normalization"},
    },
}


@pytest.mark.parametrize("layers", DECODED.values(), ids=DECODED)
def test_steps_and_prompts_give_what_the_sequence_gives(workshop: Workshop, layers: dict[str, Any]) -> None:
    trainee, batch = workshop.trainee(language_model(None, **layers)), Windows(1).first()
    tokens = batch.inputs["tokens"]
    (whole,) = trainee.predict(batch.inputs).values()
    stepper = trainee.stepper()
    state = stepper.start({}, ROWS)
    for step in range(TIME):
        logits, state = stepper.step(tokens[:, step], state)[:2]
        np.testing.assert_allclose(logits, whole[:, step], atol=1e-5)
    read, _ = stepper.step(tokens, stepper.start({}, ROWS))[:2]
    np.testing.assert_allclose(read, whole[:, -1], atol=1e-5)


def test_rows_can_be_chosen_repeated_and_dropped(workshop: Workshop) -> None:
    trainee, tokens = workshop.trainee(), Windows(1).first().inputs["tokens"]
    stepper = trainee.stepper()
    _, state = stepper.step(tokens[:, :3], stepper.start({}, ROWS))[:2]
    rows = np.array([2, 0, 0])
    chosen, _ = stepper.step(tokens[rows, 3], stepper.select(state, rows))[:2]
    chosen = chosen.copy()
    every, _ = stepper.step(tokens[:, 3], state)[:2]
    np.testing.assert_allclose(chosen, every[rows], atol=1e-6)


GRU = {"kind": "gru", "units": 4, "return_sequences": True}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"gru": {**GRU, "go_backwards": True}}, "layer 'gru': go_backwards reads the end"),
        ({"both": {"kind": "bidirectional", "layer": GRU}}, "layer 'both': bidirectional reads the sequence backwards too"),
        (
            {"one": {**GRU, "return_state": True}, "two": {**GRU, "initial_state": "one.state"}},
            "layer 'two': its initial_state is made from the tokens that are still to be decoded",
        ),
    ],
    ids=["backwards", "bidirectional", "own state"],
)
def test_what_has_no_step_form_is_refused_by_name_but_trains_and_evaluates(workshop: Workshop, layers: Any, message: str) -> None:
    trainee = workshop.trainee(language_model(**layers))
    trainee.fit(workshop.training(Windows(1), max_epochs=1), Listener())
    assert np.isfinite(trainee.evaluate(Windows(1)).loss)
    with pytest.raises(UnsupportedArgument, match=f"cannot be decoded step by step: {message}"):
        trainee.stepper()


def encoder_decoder(**decoder: Any) -> dict[str, Any]:
    """A model of two inputs whose decoder starts from what the encoder made of the first."""
    return {
        "inputs": {"source": {"dtype": "int32", "shape": [None]}, "target": {"dtype": "int32", "shape": [None]}},
        "layers": {
            "source_embedding": {"kind": "embedding", "inputs": "source", "input_dim": 7, "output_dim": 5, "mask_zero": True},
            "encoder": {"kind": "gru", "units": 6, "return_state": True},
            "target_embedding": {"kind": "embedding", "inputs": "target", "input_dim": VOCABULARY, "output_dim": 5},
            **decoder,
            "logits": {"kind": "dense", "units": VOCABULARY},
        },
        "outputs": "logits",
    }


SEQUENCE = {"kind": "gru", "return_sequences": True}
SEQUENCE_MODELS = {
    "one decoder": encoder_decoder(decoder={**SEQUENCE, "units": 6, "initial_state": "encoder.state"}),
    "stacked": encoder_decoder(
        low={**SEQUENCE, "units": 6, "initial_state": "encoder.state"},
        bridge={"kind": "dense", "inputs": "encoder.state", "units": 9, "activation": "tanh"},
        high={**SEQUENCE, "inputs": "low", "units": 9, "initial_state": "bridge"},
    ),
}


@pytest.mark.parametrize("model", SEQUENCE_MODELS.values(), ids=SEQUENCE_MODELS)
def test_an_encoder_decoder_steps_as_it_is_taught_in_groups_of_any_width(workshop: Workshop, model: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(0, 7, (ROWS, 5), dtype=np.int32), random.integers(1, VOCABULARY, (ROWS, TIME), dtype=np.int32)
    trainee = workshop.trainee(model)
    (whole,) = trainee.predict({"source": source, "target": target}).values()
    stepper = trainee.stepper()
    state = stepper.start({"source": source}, ROWS)
    read = stepper.step(target, state).logits.copy()
    np.testing.assert_allclose(read, whole[:, -1], atol=1e-5)
    twice = np.repeat(np.arange(ROWS), 2)
    state = stepper.select(state, twice, width=2)
    assert (state.rows, state.width) == (2 * ROWS, 2)
    for step in range(TIME):
        logits, state, _ = stepper.step(target[twice, step], state)
        np.testing.assert_allclose(logits, whole[twice, step], atol=1e-5)


def test_a_start_names_the_inputs_that_it_needs(workshop: Workshop) -> None:
    stepper, source = workshop.trainee(SEQUENCE_MODELS["one decoder"]).stepper(), np.ones((2, 3), np.int32)
    for inputs, message in [
        ({}, "needs the inputs source; 'source' is missing"),
        ({"source": source, "sauce": source}, "'sauce' is unknown"),
        ({"source": source[:1]}, "'source' has 1 rows; expected 2"),
    ]:
        with pytest.raises(InputError, match=message):
            stepper.start(inputs, 2)
    state = stepper.start({"source": source}, 2)
    with pytest.raises(InputError, match="2 rows make no groups of 2"):
        stepper.select(state, np.array([0, 1]), width=2)


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.parametrize("model", SEQUENCE_MODELS.values(), ids=SEQUENCE_MODELS)
def test_both_backends_decode_the_same_tokens(model: dict[str, Any]) -> None:
    source, written = np.random.default_rng(1).integers(0, 7, (ROWS, 5), dtype=np.int32), []
    for name in ("torch", "tensorflow"):
        stepper = Workshop(name).trainee(model, seed=8).stepper()
        result = generate(stepper, [[1]] * ROWS, Sampling(temperature=0.7), 20, seed=2, inputs={"source": source}).result()
        written.append([row.tolist() for row in result.tokens])
    assert written[0] == written[1]


# --- one meaning on both


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.parametrize("model", [language_model(), STATEFUL, PADDED], ids=["plain", "stateful", "padded"])
def test_both_backends_give_the_same_numbers(model: dict[str, Any]) -> None:
    results = []
    for name in ("torch", "tensorflow"):
        workshop, listener = Workshop(name), Listener()
        trainee = workshop.trainee(model, precision="64-true")
        loss, gradients = trainee.loss_and_gradients(Windows(1, lowest=0, weighted=True).first())
        data = Windows(3, lowest=0, weighted=True)
        trainee.fit(workshop.training(data, Windows(1, lowest=0), max_epochs=2, precision="64-true"), listener)
        figures = [loss, *(one.loss for one in listener.steps), *(one.loss for one in listener.epochs)]
        results.append((np.array([*figures, *(one.val_loss for one in listener.epochs)]), gradients, trainee.weights()))
    (figures, gradients, weights), (other_figures, other_gradients, other_weights) = results
    np.testing.assert_allclose(figures, other_figures, rtol=1e-9)
    for name, value in gradients.items():
        np.testing.assert_allclose(value, other_gradients[name], atol=1e-10, err_msg=name)
        np.testing.assert_allclose(weights[name], other_weights[name], atol=1e-8, err_msg=name)
