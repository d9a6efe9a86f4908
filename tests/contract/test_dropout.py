"""One YAML drops the same values on both backends, step by step, also where a training is taken up or goes over to the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

from framework.backends.base.registry import load_backend
from framework.backends.base.training import Position, Training
from framework.backends.tensorflow import dropout_masks as of_tensorflow
from framework.backends.torch import dropout_masks as of_torch
from framework.builder.planner import plan_model
from framework.data.batches import Batch
from framework.spec.backend import BackendSpec
from framework.spec.optimizer import SGDSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

VOCABULARY, ROWS, TIME, STEPS = 11, 3, 5, 4

LAYERS: dict[str, dict[str, Any]] = {
    "drop": {"drop": {"kind": "dropout", "rate": 0.4}, "gru": {"kind": "gru", "units": 6, "return_sequences": True}},
    "one mask": {"gru": {"kind": "gru", "units": 6, "return_sequences": True, "stateful": True, "dropout": 0.4}},
    "six masks": {
        "gru": {"kind": "gru", "units": 6, "return_sequences": True, "implementation": 1, "dropout": 0.3, "recurrent_dropout": 0.3},
    },
    "given seeds": {
        "drop": {"kind": "dropout", "rate": 0.4, "seed": 5},
        "both": {
            "kind": "bidirectional",
            "layer": {"kind": "gru", "units": 4, "return_sequences": True, "recurrent_dropout": 0.4, "seed": 6},
        },
    },
}


class Tokens:
    """Random tokens by (epoch, position)."""

    batch_size, steps = ROWS, STEPS

    def epoch(self, epoch: int, start: int = 0) -> Any:
        for position in range(start, STEPS):
            tokens = np.random.default_rng((epoch, position)).integers(1, VOCABULARY, (ROWS, TIME + 1), dtype=np.int32)
            yield Batch({"tokens": tokens[:, :-1]}, tokens[:, 1:], None)


class Losses:
    """Notes the losses, and stops after a step."""

    def __init__(self, stop: int) -> None:
        self.stop, self.losses, self.position = stop, [], Position()

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None: ...

    def on_step(self, result: Any) -> None:
        self.losses.append(result.loss)
        self.position = result.position

    def on_epoch_end(self, result: Any) -> None: ...

    @property
    def should_stop(self) -> bool:
        return self.position.step >= self.stop


def trainee(backend: str, layers: dict[str, Any]) -> Any:
    model = {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": ROWS}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 7},
            **layers,
            "logits": {"kind": "dense", "units": VOCABULARY},
        },
        "outputs": "logits",
    }
    plan = plan_model(validate_model(model), 3)
    return load_backend(backend).build(plan, initial_weights(plan), TrainerSpec(), BackendSpec(device="cpu"))


def fit(trained: Any, start: Position, stop: int) -> Losses:
    events = Losses(stop)
    trained.fit(Training(TrainerSpec(max_epochs=2), SGDSpec(), lambda step: 0.5, Tokens(), None, start, False), events)
    return events


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind != "given seeds" else []) for kind in LAYERS])
def test_both_backends_drop_the_same_values_also_from_one_to_the_other(kind: str) -> None:
    one, other = trainee("torch", LAYERS[kind]), trainee("tensorflow", LAYERS[kind])
    expected = fit(one, Position(), 6).losses
    first = fit(other, Position(), 3)
    assert first.losses == pytest.approx(expected[:3], rel=1e-5)
    assert len(set(np.round(expected, 4))) == 6

    over = trainee("torch", LAYERS[kind])
    over.load_state(other.state())
    assert fit(over, first.position, 6).losses == pytest.approx(expected[3:], rel=1e-5)

    there = trainee("torch", LAYERS[kind])
    half = fit(there, Position(), 2)
    back = trainee("tensorflow", LAYERS[kind])
    back.load_state(there.state())
    assert fit(back, half.position, 6).losses == pytest.approx(expected[2:], rel=1e-5)


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (2**32 - 1, 7), (3, 2**31 + 5)])
@pytest.mark.parametrize("shape", [(4, 9), (2, 3, 5), (1, 1000), (0, 3)])
def test_the_function_is_the_same(seed: int, number: int, shape: tuple[int, ...]) -> None:
    words = (seed, 0, number, 0, 2)
    width = int(np.prod(shape[1:]))
    ours = of_torch.dropout_masks(words, 3, shape[0], width, 0.3, torch.empty(0, dtype=torch.float64))
    theirs = of_tensorflow.dropout_masks(tf.constant([seed, number], tf.int64), 2, 3, 0.3, tf.zeros(shape, tf.float64))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.reshape(shape).numpy(), other.numpy())
