"""A saved state has the same parts and names on both backends, and either reads the other's, those of earlier versions too."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from small_models import ROWS, Listener, Windows, Workshop, language_model

from framework.backends.base.state import PARTS
from framework.backends.base.training import Position
from framework.backends.tensorflow.layers import dropout
from framework.spec.optimizer import AdamSpec, OptimizerSpec, RMSpropSpec, SGDSpec

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

BACKENDS = ["torch", "tensorflow"]
GRU = {"kind": "gru", "units": 6, "return_sequences": True, "stateful": True, "dropout": 0.2, "recurrent_dropout": 0.1}
MODEL = language_model(drop={"kind": "dropout", "rate": 0.3}, gru=GRU)
DATA = Windows(4)
NOT_KEPT = ("progress/rows", "progress/seconds")
"""What no earlier version kept, or not every."""


def fit(trainee: Any, optimizer: OptimizerSpec, start: int, stop: int) -> list[float]:
    """The losses of some of the four steps of an epoch."""
    listener = Listener(stop_after_steps=stop - start)
    trainee.fit(Workshop.training(DATA, optimizer=optimizer, start=Position(0, start, start), max_epochs=1), listener)
    return [one.loss for one in listener.steps]


def gone_on(trainee: Any, state: Any, optimizer: OptimizerSpec) -> list[float]:
    """The losses of the last two steps, from a state after the first two."""
    trainee.load_state(state)
    return fit(trainee, optimizer, 2, 4)


@pytest.mark.parametrize("optimizer", [AdamSpec(), RMSpropSpec(momentum=0.5, centered=True)], ids=lambda spec: spec.kind)
def test_names_and_shapes_are_the_same_and_either_goes_on_from_the_others(optimizer: OptimizerSpec) -> None:
    one, other = (Workshop(backend).trainee(MODEL) for backend in BACKENDS)
    assert fit(one, optimizer, 0, 2) == pytest.approx(fit(other, optimizer, 0, 2), rel=2e-5)
    states = [dict(trainee.state()) for trainee in (one, other)]
    shapes = [{name: np.shape(value) for name, value in state.items()} for state in states]
    assert shapes[0] == shapes[1]
    assert {name.partition("/")[0] for name in shapes[0]} == PARTS.keys() - {"random"}
    assert shapes[0]["states/gru/0"] == (ROWS, 6)
    expected = fit(one, optimizer, 2, 4)
    assert gone_on(one, states[1], optimizer) == pytest.approx(expected, rel=2e-5)
    assert gone_on(other, states[0], optimizer) == pytest.approx(expected, rel=2e-5)


def test_so_they_are_before_the_first_step() -> None:
    both = {"kind": "bidirectional", "layer": {"kind": "gru", "units": 3, "return_sequences": True, "dropout": 0.2}}
    model = language_model(gru=GRU, both=both, norm={"kind": "layer_normalization", "trainable": False})
    one, other = (Workshop(backend).trainee(model).state() for backend in BACKENDS)
    assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in other.items()}
    assert not one["states/gru/0"].any()


def as_torch_wrote(state: dict[str, Any]) -> dict[str, Any]:
    """The names of earlier versions of that backend; masks of dropout were counted once."""
    older = {"optimizer/iterations": "optimizer/step", "states/gru/0": "states/gru/state", "progress/count": "progress/tokens"}
    counts = ["drop/draws", "gru/gru/dropout_masks/draws"]
    kept = {older.get(name, name): value for name, value in state.items() if name != "progress/rows"}
    return kept | {f"random/{name}": np.array(7) for name in counts}


def as_tensorflow_wrote(state: dict[str, Any]) -> dict[str, Any]:
    """Likewise; each layer's seed and the number of its coming call were kept."""
    older = {"progress/loss": "progress/total", "progress/count": "progress/tokens"}
    numbers = {f"random/{name}": np.array([1234, 2]) for name in ("drop/0", "gru/0")}
    return {older.get(name, name): value for name, value in state.items() if name not in NOT_KEPT} | numbers


@pytest.mark.parametrize("backend", BACKENDS)
def test_states_of_earlier_versions_are_read_by_either(backend: str) -> None:
    trainee = Workshop(backend).trainee(MODEL)
    fit(trainee, AdamSpec(), 0, 2)
    state = dict(trainee.state())
    losses, end = fit(trainee, AdamSpec(), 2, 4), trainee.state()
    for older in (as_torch_wrote(state), as_tensorflow_wrote(state)):
        assert older.keys() != state.keys()
        assert gone_on(trainee, older, AdamSpec()) == losses
        assert all(value.tobytes() == end[name].tobytes() for name, value in trainee.state().items() if name not in NOT_KEPT)


def test_a_layer_that_counts_random_numbers_itself_goes_on_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout, "Dropout", keras.layers.Dropout)
    model = language_model(None, drop={"kind": "dropout", "rate": 0.4})
    trainee = Workshop("tensorflow").trainee(model)
    fit(trainee, SGDSpec(), 0, 2)
    state = dict(trainee.state())
    losses, end = fit(trainee, SGDSpec(), 2, 4), trainee.state()["random/drop/0"]
    assert gone_on(trainee, state, SGDSpec()) == losses
    assert trainee.state()["random/drop/0"].tobytes() == end.tobytes() != state["random/drop/0"].tobytes()
    Workshop("torch").trainee(model).load_state(state)  # which has none to go on with, and takes the rest
