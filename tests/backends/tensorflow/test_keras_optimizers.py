"""Optimizers, clipping, penalties and gradients against NumPy, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from small_models import VOCABULARY, Listener, Windows, Workshop, language_model

from framework.spec.optimizer import AdamSpec, AdamWSpec, OptimizerSpec, RMSpropSpec, SGDSpec

pytestmark = pytest.mark.tensorflow

STEPS = 4


def rate(step: int) -> float:
    return 0.1 / (3 + step)


def model() -> dict[str, Any]:
    """The smallest model with a table whose rows occur several times in a batch."""
    return {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None]}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 3, "embeddings_regularizer": "l2"},
            "logits": {"kind": "dense", "units": VOCABULARY, "kernel_constraint": {"class_name": "max_norm", "config": {"max_value": 0.5}}},
        },
        "outputs": "logits",
    }


def adam(spec: Any) -> Iterator[Any]:
    """Kingma and Ba 2014, section 2: epsilon beside the root of the uncorrected second moment; AdamW's decay before the step."""
    first, second, step = 0.0, 0.0, 0
    update = None
    while True:
        weight, gradient, learning_rate = yield update
        step += 1
        weight = weight - getattr(spec, "weight_decay", 0.0) * learning_rate * weight
        first = spec.beta_1 * first + (1 - spec.beta_1) * gradient
        second = spec.beta_2 * second + (1 - spec.beta_2) * gradient**2
        alpha = learning_rate * np.sqrt(1 - spec.beta_2**step) / (1 - spec.beta_1**step)
        update = weight - alpha * first / (np.sqrt(second) + spec.epsilon)


def sgd(spec: Any) -> Iterator[Any]:
    velocity = 0.0
    update = None
    while True:
        weight, gradient, learning_rate = yield update
        velocity = spec.momentum * velocity - learning_rate * gradient
        update = weight + (spec.momentum * velocity - learning_rate * gradient if spec.nesterov else velocity)


def rmsprop(spec: Any) -> Iterator[Any]:
    squares, mean, velocity = 0.0, 0.0, 0.0
    update = None
    while True:
        weight, gradient, learning_rate = yield update
        squares = spec.rho * squares + (1 - spec.rho) * gradient**2
        mean = spec.rho * mean + (1 - spec.rho) * gradient
        variance = squares - mean**2 if spec.centered else squares
        increment = learning_rate * gradient / np.sqrt(variance + spec.epsilon)
        velocity = spec.momentum * velocity + increment
        update = weight - (velocity if spec.momentum else increment)


CASES: list[tuple[OptimizerSpec, Callable[[Any], Iterator[Any]], dict[str, Any]]] = [
    (AdamSpec(beta_1=0.8, beta_2=0.99, epsilon=1e-5), adam, {}),
    (AdamWSpec(weight_decay=0.3), adam, {}),
    (SGDSpec(), sgd, {}),
    (SGDSpec(momentum=0.7), sgd, {"gradient_clip_val": 0.05}),
    (SGDSpec(momentum=0.7, nesterov=True), sgd, {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    (RMSpropSpec(rho=0.8, epsilon=1e-3), rmsprop, {}),
    (RMSpropSpec(momentum=0.6, centered=True), rmsprop, {"gradient_clip_val": 1000.0}),
]


def clipped(gradients: dict[str, Any], gradient_clip_val: float | None = None, gradient_clip_algorithm: str = "norm") -> dict[str, Any]:
    if gradient_clip_val is None:
        return gradients
    if gradient_clip_algorithm == "value":
        return {name: np.clip(value, -gradient_clip_val, gradient_clip_val) for name, value in gradients.items()}
    norm = np.sqrt(sum((value**2).sum() for value in gradients.values()))
    return {name: value * min(1.0, gradient_clip_val / norm) for name, value in gradients.items()}


def constrained(name: str, weight: Any) -> Any:
    """Keras' max_norm of 0.5 over axis 0."""
    norms = np.sqrt((weight**2).sum(0))
    return weight * np.clip(norms, 0, 0.5) / (1e-7 + norms) if name == "logits/kernel" else weight


@pytest.mark.parametrize(("spec", "formula", "clipping"), CASES, ids=[repr(case[0]) + str(case[2]) for case in CASES])
def test_steps_of_every_optimizer(workshop: Workshop, spec: OptimizerSpec, formula: Any, clipping: dict[str, Any]) -> None:
    trainee = workshop.trainee(model(), precision="64-true", **clipping)
    oracle = trainee.weights()
    data = Windows(STEPS)
    formulas = {name: formula(spec) for name in oracle}
    for one in formulas.values():
        next(one)
    for step, batch in enumerate(data.epoch(0)):
        trainee.set_weights(oracle)
        gradients = clipped(trainee.loss_and_gradients(batch)[1], **clipping)
        oracle = {name: constrained(name, formulas[name].send((value, gradients[name], rate(step)))) for name, value in oracle.items()}
    trainee.set_weights(workshop.start(trainee.plan))
    trainee.fit(workshop.training(data, max_epochs=1, optimizer=spec, rate=rate, precision="64-true", **clipping), Listener())
    for name, value in trainee.weights().items():
        # A power with a whole exponent is all that float64 does not give to the last digits here.
        np.testing.assert_allclose(value, oracle[name], rtol=1e-11, atol=1e-13, err_msg=name)


def test_gradients_are_finite_differences_of_the_penalised_loss(workshop: Workshop) -> None:
    layers = language_model(4, gru={"kind": "gru", "units": 3, "return_sequences": True, "activity_regularizer": "l2"})
    layers["layers"]["logits"]["bias_regularizer"] = {"class_name": "l1", "config": {"l1": 0.3}}
    trainee = workshop.trainee(layers, precision="64-true")
    batch = next(iter(Windows(1, weighted=True).epoch(0)))
    loss, gradients = trainee.loss_and_gradients(batch)
    start = trainee.weights()

    def objective(weights: dict[str, Any]) -> float:
        trainee.set_weights(weights)
        plain, _ = trainee.loss_and_gradients(batch)
        hidden = trainee.native.get_layer("gru")(trainee.native.get_layer("embedding")(batch.inputs["tokens"])).numpy()
        return plain + 0.01 * (hidden**2).sum() / len(hidden) + 0.3 * np.abs(weights["logits/bias"]).sum()

    random = np.random.default_rng(0)
    for name, value in start.items():
        index = tuple(random.integers(0, length) for length in value.shape)
        if name == "embedding/embeddings":
            index = (batch.inputs["tokens"][0, 0], 1)
        above, below = ({**start, name: value.copy()} for _ in range(2))
        above[name][index] += 1e-5
        below[name][index] -= 1e-5
        assert gradients[name][index] == pytest.approx((objective(above) - objective(below)) / 2e-5, rel=1e-6, abs=1e-9), name
    trainee.set_weights(start)
    assert trainee.loss_and_gradients(batch)[0] == loss
