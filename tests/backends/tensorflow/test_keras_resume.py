"""A training that is interrupted and gone on with ends with the same bits as one that was not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_models import Listener, Windows, Workshop, language_model

from framework.backends.base.training import EpochResult, Position
from framework.backends.tensorflow.compiled import batch_shapes, batch_tensors
from framework.data.batches import Batch
from framework.errors import CheckpointError
from framework.spec.optimizer import RMSpropSpec, SGDSpec

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    """Everything that has a state: a stateful layer, three kinds of dropout, a frozen layer."""
    return language_model(
        4,
        drop={"kind": "dropout", "rate": 0.3},
        gru={"kind": "gru", "units": 7, "return_sequences": True, "stateful": True, "dropout": 0.2, "recurrent_dropout": 0.2},
        normal={"kind": "layer_normalization", "trainable": False},
    )


def bits(state: Any) -> dict[str, bytes]:
    """All but the time that it took, which is nobody's to repeat."""
    kept = {name: value for name, value in state.items() if name != "progress/seconds"}
    return {name: value.tobytes() + str((value.dtype, value.shape)).encode() for name, value in kept.items()}


@pytest.fixture(scope="module")
def straight(workshop: Workshop, model: dict[str, Any]) -> dict[str, Any]:
    """A training of two epochs of 4 and 3 steps without interruption, and the states on the way."""
    trainee, recorder = workshop.trainee(model), Listener(stop_after_steps=7)
    on_the_way = {0: trainee.state()}
    recorder.at_step = lambda result: on_the_way.update({result.position.step: trainee.state()})
    trainee.fit(plan(workshop), recorder)
    return {"trainee": trainee, "recorder": recorder, "states": on_the_way}


@pytest.fixture(scope="module")
def other(workshop: Workshop, model: dict[str, Any]) -> Any:
    """Another trainee of the same model, with other weights."""
    trainee = workshop.trainee(model)
    trainee.set_weights({name: value + 1 for name, value in trainee.weights().items()})
    return trainee


def plan(workshop: Workshop, start: Position = Position()) -> Any:  # noqa: B008 - frozen
    rate, data = (lambda step: 0.05 / (1 + step)), Windows(4)
    return workshop.training(data, Windows(2, seed=9), start=start, rate=rate, max_epochs=2, reset=False, gradient_clip_val=0.5)


def go_on(workshop: Workshop, trainee: Any, state: Any, start: Position) -> Any:
    recorder = Listener(stop_after_steps=7 - start.step)
    trainee.load_state(state)
    assert bits(trainee.state()) == bits(state)
    trainee.fit(plan(workshop, start), recorder)
    return recorder


def test_going_on_within_an_epoch(workshop: Workshop, other: Any, straight: dict[str, Any]) -> None:
    start = Position(0, 3, 3)
    recorder = go_on(workshop, other, straight["states"][3], start)
    assert recorder.heard[0] == (start, 4)
    assert [one.loss for one in recorder.steps] == [one.loss for one in straight["recorder"].steps[3:]]
    assert bits(other.state()) == bits(straight["states"][7])
    assert recorder.epochs[0].loss == straight["recorder"].epochs[0].loss
    assert recorder.epochs[0].val_loss == straight["recorder"].epochs[0].val_loss


def test_going_on_after_the_last_step_of_an_epoch(workshop: Workshop, other: Any, straight: dict[str, Any]) -> None:
    recorder = go_on(workshop, other, straight["states"][4], Position(0, 4, 4))
    assert isinstance(recorder.heard[1], EpochResult)
    assert recorder.heard[1].position == Position(1, 0, 4)
    assert (recorder.heard[1].loss, recorder.heard[1].val_loss) == (
        straight["recorder"].epochs[0].loss,
        straight["recorder"].epochs[0].val_loss,
    )
    assert bits(other.state()) == bits(straight["states"][7])


def test_what_a_state_holds(straight: dict[str, Any]) -> None:
    state = straight["states"][3]
    assert {name for name in state if name.startswith(("states/", "random/", "progress/"))} == {
        "states/gru/0", "progress/loss", "progress/count", "progress/rows", "progress/seconds",
    }  # fmt: skip
    assert {"optimizer/iterations", "optimizer/momentum/gru/kernel", "optimizer/velocity/embedding/embeddings"} <= set(state)
    assert not [name for name in state if name.startswith("optimizer/") and "normal" in name]
    assert {"weights/normal/gamma", "weights/logits/bias"} <= set(state)
    assert state["optimizer/iterations"] == 3
    # The data differs from step to step: else the other tests could not fail.
    assert bits(state)["states/gru/0"] != bits(straight["states"][4])["states/gru/0"]


def test_a_second_fit_goes_on_with_the_optimizer_and_a_loaded_start_begins_anew(workshop: Workshop, straight: dict[str, Any]) -> None:
    trainee = straight["trainee"]
    graph = trainee._train_step
    trainee.load_state(straight["states"][0])
    trainee.fit(plan(workshop), Listener(stop_after_steps=3))
    trainee.fit(plan(workshop, Position(0, 3, 3)), Listener(stop_after_steps=4))
    assert trainee._train_step is graph
    assert bits(trainee.state()) == bits(straight["states"][7])


def test_a_state_is_a_copy(other: Any, straight: dict[str, Any]) -> None:
    trainee = other
    trainee.load_state(straight["states"][3])
    state = trainee.state()
    for value in state.values():
        value[...] = 0
    assert bits(trainee.state()) == bits(straight["states"][3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights/gru/kernel": None}, r"(?s)weights do not fit the model: 1 missing .*gru/kernel"),
        ({"states/other/0": np.zeros((4, 7))}, r"(?s)kept states do not fit the model: 1 unknown .*other/0"),
        ({"states/gru/0": np.zeros((8, 7), np.float32)}, r"(?s)states do not fit the model: 1 of another .*gru/0 +\(4, 7\) +\(8, 7\)"),
        ({"random/other/0": np.zeros(2)}, "'random/other/0' belongs to no layer"),
        ({"progress/loss": None}, r"progress/loss': expected loss, count, rows, seconds"),
        ({"loops/batch": np.zeros(())}, "'loops/batch' is no part of a training state"),
    ],
)
def test_states_that_do_not_fit(other: Any, straight: dict[str, Any], change: Any, message: str) -> None:
    trainee = other
    before = bits(trainee.state())
    changed = {name: value for name, value in {**straight["states"][3], **change}.items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        trainee.load_state(changed)
    assert bits(trainee.state()) == before


def test_a_state_of_another_optimizer(workshop: Workshop, other: Any, straight: dict[str, Any]) -> None:
    trainee = other
    trainee.load_state(straight["states"][3])
    with pytest.raises(CheckpointError, match=r"(?s)sgd's variables do not fit the model: 12 unknown .*momentum/embedding/embeddings"):
        trainee.fit(workshop.training(Windows(4), optimizer=SGDSpec()), Listener())
    assert bits(trainee.state()) == bits(straight["states"][3])


def test_slots_of_a_centered_rmsprop(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(None, hidden={"kind": "dense", "units": 2}))
    spec = RMSpropSpec(momentum=0.5, centered=True)
    trainee.fit(workshop.training(Windows(2), optimizer=spec), Listener())
    state = trainee.state()
    for slot in ("velocity", "momentum", "average_gradient"):
        for name, value in trainee.weights().items():
            assert state[f"optimizer/{slot}/{name}"].shape == value.shape
    assert len([name for name in state if name.startswith("optimizer/")]) == 1 + 3 * len(trainee.weights())


def test_the_same_training_twice_gives_the_same_bits(workshop: Workshop) -> None:
    layers = {
        "gru": {"kind": "gru", "units": 96, "return_sequences": True, "recurrent_dropout": 0.1},
        "normal": {"kind": "layer_normalization"},
    }
    trainee = workshop.trainee(language_model(32, **layers))
    start, found = trainee.state(), []
    for _ in range(2):
        trainee.load_state(start)
        trainee.fit(workshop.training(Windows(3, batch_size=32, time=40), max_epochs=1, gradient_clip_val=1.0), Listener())
        found.append(bits(trainee.state()))
    assert found[0] == found[1]


class Ragged:
    """Batches of one epoch, of several shapes."""

    batch_size, steps = 4, 5
    shapes = ((4, 6), (4, 4), (2, 6), (4, 3), (4, 6))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number, shape in enumerate(self.shapes[start:], start=start):
            tokens = np.random.default_rng(number).integers(0, 9, shape, np.int32)
            yield Batch({"tokens": tokens}, tokens[:, ::-1], np.ones(shape, np.float32))


@pytest.fixture(scope="module")
def ragged_model() -> dict[str, Any]:
    return language_model(None, gru={"kind": "gru", "units": 7, "return_sequences": True})


@pytest.mark.slow
def test_batches_of_many_shapes_give_the_same_bits_wherever_a_training_was_interrupted(
    workshop: Workshop, ragged_model: dict[str, Any]
) -> None:
    def training(start: Position) -> Any:
        return workshop.training(Ragged(), Ragged(), start=start, max_epochs=1)

    trainee, recorder = workshop.trainee(ragged_model), Listener()
    states: dict[int, Any] = {}
    recorder.at_step = lambda result: states.update({result.position.step: trainee.state()})
    trainee.fit(training(Position()), recorder)
    for step in range(1, 5):
        again, told = workshop.trainee(ragged_model), Listener()
        again.load_state(states[step])
        again.fit(training(Position(0, step, step)), told)
        assert bits(again.state()) == bits(trainee.state())
        assert told.epochs[0].val_loss == recorder.epochs[0].val_loss


def test_the_graph_of_a_batch_is_of_its_shape_whatever_came_before(workshop: Workshop, ragged_model: dict[str, Any]) -> None:
    def taken(order: list[int]) -> dict[Any, list[Any]]:
        compiled = workshop.trainee(ragged_model).compiled
        tensors = [batch_tensors(compiled.native, batch) for batch in Ragged().epoch(0)]
        for number in order:
            compiled.evaluate(batch_shapes(*tensors[0]), *tensors[number])
        return {
            shapes: [tuple(one.shape) for one in graph.inputs[:3] if one.dtype != tf.resource]
            for shapes, graph in compiled.evaluate.traces.items()
        }

    found = taken([0, 1, 2, 3, 4])
    assert found == taken([3, 2, 4, 1, 0])
    assert found == {(shape,) * 3: [shape] * 3 for shape in ((4, 6), (None, 6), (None, None))}
