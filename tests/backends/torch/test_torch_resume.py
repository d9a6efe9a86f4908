"""A training that is taken up again ends with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import Listener, Windows, Workshop, language_model

from framework.backends.base.training import Position
from framework.errors import CheckpointError
from framework.spec.optimizer import AdamSpec, AdamWSpec, OptimizerSpec, RMSpropSpec, SGDSpec

pytestmark = pytest.mark.torch

STEPS = 4
"""Batches of an epoch."""

LAYERS = {
    "drop": {"kind": "dropout", "rate": 0.3},
    "gru": {"kind": "gru", "units": 6, "return_sequences": True, "stateful": True, "dropout": 0.2, "recurrent_dropout": 0.1},
    "both": {"kind": "bidirectional", "layer": {"kind": "gru", "units": 3, "return_sequences": True, "dropout": 0.2}},
    "norm": {"kind": "layer_normalization"},
}

OPTIMIZERS: list[OptimizerSpec] = [AdamSpec(), AdamWSpec(), SGDSpec(momentum=0.9), RMSpropSpec(momentum=0.5, centered=True)]


def finished(workshop: Workshop, optimizer: OptimizerSpec, stops: list[int], **trainer: Any) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The final state, the steps and the epochs of seven steps and more, taken up in a new trainee after each of ``stops``."""
    trainee = workshop.trainee(language_model(**LAYERS), **trainer)
    steps, epochs, position = [], [], Position()
    for stop in [*stops, None]:
        listener = Listener(stop_after_steps=None if stop is None else stop - position.step)
        training = workshop.training(Windows(STEPS, weighted=True), Windows(1, seed=8), optimizer=optimizer, start=position, **trainer)
        trainee.fit(training, listener)
        steps += listener.steps
        epochs += listener.epochs
        if stop is not None:
            position = listener.steps[-1].position
            state = trainee.state()
            trainee = workshop.trainee(language_model(**LAYERS), seed=99, **trainer)
            # The model's seed is part of its config; only the weights may come from somewhere else.
            trainee = workshop.trainee(language_model(**LAYERS), weights=trainee.weights(), **trainer)
            trainee.load_state(state)
    return trainee.state(), steps, epochs


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("stops", [[3], [STEPS], [1, 5, 7]], ids=str)
def test_it_ends_with_the_same_bits(optimizer: OptimizerSpec, stops: list[int], workshop: Workshop) -> None:
    whole, whole_steps, whole_epochs = finished(workshop, optimizer, [])
    parts, part_steps, part_epochs = finished(workshop, optimizer, stops)
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        if name != "progress/seconds":
            assert value.dtype == parts[name].dtype
            assert value.tobytes() == parts[name].tobytes(), name
    assert [(one.position, one.loss, one.learning_rate) for one in whole_steps] == [
        (one.position, one.loss, one.learning_rate) for one in part_steps
    ]
    assert [(one.position, one.training, one.validation) for one in whole_epochs] == [
        (one.position, one.training, one.validation) for one in part_epochs
    ]


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_so_it_does_in_other_precisions(precision: str, workshop: Workshop) -> None:
    whole, *_ = finished(workshop, AdamSpec(), [], precision=precision)
    parts, *_ = finished(workshop, AdamSpec(), [3], precision=precision)
    assert all(value.tobytes() == parts[name].tobytes() for name, value in whole.items() if name != "progress/seconds")


@pytest.mark.parametrize("missing", ["optimizer/", "states/", "progress/"])
def test_each_part_of_the_state_is_needed(missing: str, workshop: Workshop) -> None:
    """Without any part, the end is another: the test above looks at each."""

    def end(leave_out: str) -> tuple[dict[str, Any], float]:
        trainee = workshop.trainee(language_model(**LAYERS))
        trainee.fit(workshop.training(Windows(STEPS)), Listener(stop_after_steps=2))
        state = {name: value for name, value in trainee.state().items() if not name.startswith(leave_out)}
        trainee = workshop.trainee(language_model(**LAYERS))
        trainee.load_state(state)
        listener = Listener(stop_after_epochs=1)
        trainee.fit(workshop.training(Windows(STEPS), start=Position(0, 2, 2)), listener)
        return trainee.weights(), listener.epochs[0].loss

    (weights, loss), (other_weights, other_loss) = end("nothing"), end(missing)
    assert loss != other_loss
    changed = any(value.tobytes() != other_weights[name].tobytes() for name, value in weights.items())
    assert changed == (missing != "progress/")


def test_a_state_is_a_copy(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(**LAYERS))
    trainee.fit(workshop.training(Windows(2), max_epochs=1), Listener())
    state = trainee.state()
    kept = {name: value.copy() for name, value in state.items()}
    trainee.fit(workshop.training(Windows(2), start=Position(1, 0, 2)), Listener())
    assert all(np.array_equal(value, kept[name]) for name, value in state.items())
    trainee.load_state(state)
    for value in state.values():
        value[...] = 0
    assert trainee.state().keys() == kept.keys()
    assert all(np.array_equal(value, kept[name]) for name, value in trainee.state().items())


def test_a_state_within_the_training_is_that_of_the_step(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(**LAYERS))
    states: list[Any] = []
    listener = Listener(at_step=lambda result: states.append(trainee.state()))
    trainee.fit(workshop.training(Windows(2), max_epochs=1), listener)
    assert [int(state["optimizer/iterations"]) for state in states] == [1, 2]
    assert not any(name.startswith("random/") for name in states[0]), "dropout depends on the step alone"
    assert all(state["states/gru/0"].any() for state in states)


def test_a_state_that_still_counts_masks_is_taken(workshop: Workshop) -> None:
    """As written before dropout depended on the step alone."""
    trainee = workshop.trainee(language_model(**LAYERS))
    trainee.fit(workshop.training(Windows(2), max_epochs=1), Listener())
    state = trainee.state()
    counts = ["drop/draws", "gru/gru/dropout_masks/draws", "gru/gru/recurrent_dropout_masks/draws"]
    counts += [f"both/{direction}_layer/dropout_masks/draws" for direction in ("forward", "backward")]
    other = workshop.trainee(language_model(**LAYERS))
    other.load_state({**state, **{f"random/{name}": np.array(7) for name in counts}})
    assert all(value.tobytes() == state[name].tobytes() for name, value in other.state().items())


@pytest.fixture
def state(workshop: Workshop) -> dict[str, Any]:
    trainee = workshop.trainee(language_model(**LAYERS))
    trainee.fit(workshop.training(Windows(1), max_epochs=1), Listener())
    return dict(trainee.state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("weights/gru/bias"), r"gru/bias\s+\(2, 18\)\s+missing"),
        (lambda state: state.update({"weights/gru/bias": np.zeros((18,))}), r"gru/bias\s+\(2, 18\)\s+\(18,\)"),
        (lambda state: state.update({"weights/gru/biass": np.zeros(2)}), r"gru/biass\s+unknown"),
        (lambda state: state.update({"states/both/0": np.zeros((4, 3))}), r"kept states do not fit.*\n.*\n.*both/0\s+unknown"),
        (lambda state: state.update({"states/gru/0": np.zeros((4, 5))}), r"gru/0\s+\(4, 6\)\s+\(4, 5\)"),
        (lambda state: state.update({"states/gru/0": np.zeros((3, 6))}), r"gru/0\s+\(4, 6\)\s+\(3, 6\)"),
        (lambda state: state.update({"random/gone/draws": np.zeros(())}), "'random/gone/draws' belongs to no layer"),
        (lambda state: state.update({"other/thing": np.zeros(())}), "'other/thing' is no part of a training state"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: Any, message: str, state: dict[str, Any], workshop: Workshop) -> None:
    change(state)
    with pytest.raises(CheckpointError, match=message):
        workshop.trainee(language_model(**LAYERS)).load_state(state)


@pytest.mark.parametrize(
    ("change", "optimizer", "message"),
    [
        (lambda state: None, SGDSpec(), "'optimizer/velocity/.*' belongs to another optimizer or model, not to this SGD"),
        (
            lambda state: state.update({"optimizer/momentum/gru/bias": np.zeros(3)}),
            AdamSpec(),
            r"'optimizer/momentum/gru/bias' has the shape \(3,\); the model's is \(2, 18\)",
        ),
    ],
)
def test_another_optimizers_values_are_refused(
    change: Any, optimizer: OptimizerSpec, message: str, state: dict[str, Any], workshop: Workshop
) -> None:
    change(state)
    trainee = workshop.trainee(language_model(**LAYERS))
    trainee.load_state(state)
    with pytest.raises(CheckpointError, match=message):
        trainee.fit(workshop.training(Windows(2), optimizer=optimizer), Listener())
