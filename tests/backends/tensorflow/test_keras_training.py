"""Training by Keras' fit: the order of events, what is reported, when it ends, and how it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_models import Listener, Windows, Workshop, language_model, single_layer

from framework.backends.base.training import EpochResult, Position, StepResult
from framework.data.batches import Batch
from framework.data.limit import limit
from framework.errors import CheckpointError, DataError, TrainingError
from framework.spec.optimizer import SGDSpec

pytestmark = pytest.mark.tensorflow

STATEFUL = {"kind": "gru", "units": 7, "return_sequences": True, "stateful": True}


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    """The one model that most of these tests train: a stateful layer, no dropout."""
    return language_model(4, gru=STATEFUL)


@pytest.fixture(scope="module")
def shared(workshop: Workshop, model: dict[str, Any]) -> Any:
    """One trainee for many tests, whose graphs are traced once, and its state at the start."""
    trainee = workshop.trainee(model)
    return trainee, trainee.state()


@pytest.fixture
def trainee(shared: Any) -> Any:
    """The shared trainee as at the start."""
    trainee, start = shared
    trainee.load_state(start)
    return trainee


def cross_entropy(logits: Any, targets: Any) -> float:
    logits = logits.astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -np.take_along_axis(logs, targets[..., None], -1)[..., 0]
    return float(losses.mean())


def test_events_come_in_order_with_positions_rates_and_tokens(workshop: Workshop, trainee: Any) -> None:
    recorder = Listener()
    train, validation = Windows(3), Windows(2, seed=1)
    trainee.fit(workshop.training(train, validation, max_epochs=2, check_val_every_n_epoch=2), recorder)
    assert [type(one) for one in recorder.heard] == [tuple, *[StepResult] * 3, EpochResult, *[StepResult] * 3, EpochResult]
    assert recorder.heard[0] == (Position(), 3)
    positions = [Position(0, 1, 1), Position(0, 2, 2), Position(0, 3, 3), Position(1, 1, 4), Position(1, 2, 5), Position(1, 3, 6)]
    assert [one.position for one in recorder.steps] == positions
    assert [one.learning_rate for one in recorder.steps] == [1e-2 / (1 + step) for step in range(6)]
    assert {one.count for one in recorder.steps} == {24}
    assert [one.position for one in recorder.epochs] == [Position(1, 0, 3), Position(2, 0, 6)]
    assert train.asked == [(0, 0), (1, 0)]
    for epoch, steps in zip(recorder.epochs, (recorder.steps[:3], recorder.steps[3:]), strict=True):
        assert epoch.loss == pytest.approx(np.mean([one.loss for one in steps]), rel=1e-12)
        assert epoch.training.count == 72
        assert epoch.seconds > 0
    assert [one.val_loss is None for one in recorder.epochs] == [True, False]
    assert recorder.epochs[1].val_loss == trainee.evaluate(validation).loss


def test_the_first_loss_is_that_of_the_given_weights(workshop: Workshop, trainee: Any) -> None:
    batch = next(iter(Windows(1).epoch(0)))
    logits = trainee.predict(batch.inputs)["output"]
    recorder = Listener()
    trainee.fit(workshop.training(Windows(1)), recorder)
    assert recorder.steps[0].loss == pytest.approx(cross_entropy(logits, batch.targets), rel=1e-6)


@pytest.mark.parametrize("time", [1, 6])
def test_a_vocabulary_of_one_has_no_loss(workshop: Workshop, time: int) -> None:
    model = language_model(None)
    model["layers"]["logits"]["units"] = 1
    batch = Batch({"tokens": np.zeros((4, time), np.int32)}, np.zeros((4, time), np.int32), np.ones((4, time), np.float32))
    loss, gradients = workshop.trainee(model).loss_and_gradients(batch)
    assert loss == 0 and not any(np.any(one) for one in gradients.values())


def test_evaluation_weighs_batches_by_their_tokens(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(None, hidden={"kind": "dense", "units": 4}))
    data = Windows(3, rows={2: 1})
    batches = list(data.epoch(0))
    losses = [cross_entropy(trainee.predict(batch.inputs)["output"], batch.targets) for batch in batches]
    assert trainee.evaluate(data).loss == pytest.approx((4 * losses[0] + 4 * losses[1] + losses[2]) / 9, rel=1e-6)
    assert trainee.evaluate(data, limit=2).loss == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-6)
    assert len(trainee.compiled.evaluate.traces) == 2
    with pytest.raises(DataError, match="no batches to evaluate on"):
        trainee.evaluate(Windows(0))


def test_validation_starts_from_zeros_and_leaves_the_training_states(workshop: Workshop, trainee: Any) -> None:
    trainee.fit(workshop.training(Windows(2)), Listener())
    states = trainee.state()["states/gru/0"]
    assert np.abs(states).max() > 0
    batch = next(iter(Windows(1).epoch(0)))
    asked = [trainee.evaluate(Windows(2, seed=1)).loss, trainee.predict(batch.inputs)["output"], trainee.loss_and_gradients(batch)[0]]
    np.testing.assert_array_equal(trainee.state()["states/gru/0"], states)
    trainee.reset_states()
    assert not trainee.state()["states/gru/0"].any()
    assert trainee.evaluate(Windows(2, seed=1)).loss == asked[0]
    np.testing.assert_array_equal(trainee.predict(batch.inputs)["output"], asked[1])
    assert trainee.loss_and_gradients(batch)[0] == asked[2]


@pytest.mark.parametrize("reset", [True, False])
def test_states_are_reset_each_epoch_if_asked(workshop: Workshop, trainee: Any, reset: bool) -> None:
    at_start = []

    def note(result: StepResult) -> None:
        if result.position.batch == 2:
            at_start.append(trainee.state()["states/gru/0"])

    class Same(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            return super().epoch(0, start)

    recorder = Listener()
    recorder.at_step = note
    trainee.fit(workshop.training(Same(2), max_epochs=2, rate=lambda step: 0.0, reset=reset), recorder)
    assert np.array_equal(*at_start) == reset


def test_limits(workshop: Workshop, trainee: Any) -> None:
    recorder = Listener()
    validation = Windows(3, seed=1)
    trainee.fit(workshop.training(limit(Windows(5), 2), limit(validation, 1), max_epochs=2), recorder)
    assert recorder.heard[0] == (Position(), 2)
    assert [one.position.batch for one in recorder.steps] == [1, 2, 1, 2]
    assert recorder.epochs[-1].val_loss == trainee.evaluate(validation, 1).loss


def test_stops_when_asked(workshop: Workshop, trainee: Any) -> None:
    recorder = Listener(stop_after_steps=4)
    trainee.fit(workshop.training(Windows(3), max_epochs=5), recorder)
    assert recorder.heard[-1].position == Position(1, 1, 4)
    recorder = Listener(stop_after_epochs=2)
    trainee.fit(workshop.training(Windows(2), max_epochs=5), recorder)
    assert recorder.heard[-1].position == Position(2, 0, 4)
    assert isinstance(recorder.heard[-1], EpochResult)
    recorder = Listener()
    trainee.fit(workshop.training(Windows(2), max_epochs=2, start=Position(2, 0, 4)), recorder)
    assert recorder.heard == [(Position(2, 0, 4), 2)]


def test_no_keras_training_function_is_left_behind(workshop: Workshop, trainee: Any) -> None:
    trainee.fit(workshop.training(Windows(1)), Listener())
    assert trainee.native.train_function is None
    tokens = np.ones((4, 6), np.int32)
    assert trainee.native.fit(tokens, tokens, batch_size=4, verbose=0).history["loss"][0] > 0


class Broken:
    """Batches whose third has a weight that is not a number."""

    steps, batch_size = 5, 4

    def __init__(self) -> None:
        self.batches = list(Windows(5, weighted=True).epoch(0))
        self.batches[2] = Batch(self.batches[2].inputs, self.batches[2].targets, np.full((4, 6), np.nan, np.float32))

    def epoch(self, epoch: int, start: int = 0) -> Any:
        return iter(self.batches[start:])


def test_a_loss_that_is_not_finite_names_the_step(workshop: Workshop, trainee: Any) -> None:
    recorder = Listener()
    with pytest.raises(TrainingError, match=r"the loss is nan at step 3: training cannot go on; a lower optimizer.learning_rate"):
        trainee.fit(workshop.training(Broken()), recorder)
    assert len(recorder.steps) == 2


def test_running_out_of_memory(workshop: Workshop, trainee: Any) -> None:
    trainee.fit(workshop.training(Windows(1)), Listener())
    real = trainee._train_step
    calls = []

    def full(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,100]")
        return real(*arguments)

    trainee._train_step = full
    try:
        with pytest.raises(TrainingError, match=r"memory ran out at step 2; a smaller .*OOM when allocating") as caught:
            trainee.fit(workshop.training(Windows(3)), Listener())
    finally:
        trainee._train_step = real
    assert isinstance(caught.value.__cause__, tf.errors.ResourceExhaustedError)


def test_errors_of_others_keep_their_cause(workshop: Workshop, trainee: Any) -> None:
    def fail(result: StepResult) -> None:
        raise CheckpointError("the disk is full") from OSError("no space")

    recorder = Listener()
    recorder.at_step = fail
    with pytest.raises(CheckpointError, match="the disk is full") as caught:
        trainee.fit(workshop.training(Windows(3)), recorder)
    assert isinstance(caught.value.__cause__, OSError)
    assert len(recorder.steps) == 1


def test_an_interrupt_passes(workshop: Workshop, trainee: Any) -> None:
    def interrupt(result: StepResult) -> None:
        raise KeyboardInterrupt

    recorder = Listener()
    recorder.at_step = interrupt
    with pytest.raises(KeyboardInterrupt):
        trainee.fit(workshop.training(Windows(3)), recorder)
    assert trainee.native.train_function is None


def test_data_that_ends_early(workshop: Workshop, trainee: Any) -> None:
    class Short(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            return iter(list(super().epoch(epoch, start))[:2])

    with pytest.raises(TrainingError, match="epoch 1 ended after 2 of 3 batches"):
        trainee.fit(workshop.training(Short(3)), Listener())


def test_nothing_to_train(workshop: Workshop) -> None:
    model = single_layer(2, kind="dropout", rate=0.5)
    with pytest.raises(TrainingError, match="no layer of the model is trainable"):
        workshop.trainee(model).fit(workshop.training(Windows(1)), Listener())


def test_bfloat16_learns(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(4, gru=STATEFUL), precision="bf16-mixed")
    one = Windows(1)
    recorder = Listener()
    trainee.fit(workshop.training(one, optimizer=SGDSpec(), rate=lambda step: 0.5, max_epochs=8, precision="bf16-mixed"), recorder)
    losses = [result.loss for result in recorder.steps]
    exact = workshop.trainee(language_model(4, gru=STATEFUL)).evaluate(one).loss
    assert losses[0] == pytest.approx(exact, rel=0.02)
    assert losses[0] != exact
    assert {value.dtype for value in trainee.weights().values()} == {np.dtype(np.float32)}
