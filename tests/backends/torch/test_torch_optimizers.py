"""Each optimizer against the same one of Keras, step by step, with a learning rate that changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from framework.backends.torch.optimizers import clip_gradients, make_optimizer
from framework.errors import UnsupportedArgument
from framework.spec.optimizer import AdamSpec, AdamWSpec, OptimizerSpec, RMSpropSpec, SGDSpec

pytestmark = pytest.mark.torch

STEPS = 20

CASES: dict[str, OptimizerSpec] = {
    "adam": AdamSpec(),
    "adam with other constants": AdamSpec(beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "adam with a short memory": AdamSpec(beta_1=0.0, beta_2=0.5),
    "adamw": AdamWSpec(weight_decay=0.1),
    "adamw without decay": AdamWSpec(weight_decay=0.0),
    "sgd": SGDSpec(),
    "sgd with momentum": SGDSpec(momentum=0.9),
    "sgd with nesterov": SGDSpec(momentum=0.8, nesterov=True),
    "rmsprop": RMSpropSpec(),
    "rmsprop with momentum": RMSpropSpec(momentum=0.7, rho=0.8, epsilon=1e-4),
    "rmsprop centered": RMSpropSpec(centered=True, epsilon=1e-3),
    "rmsprop centered with momentum": RMSpropSpec(centered=True, momentum=0.5, epsilon=1e-3),
}


def rate(step: int) -> float:
    return 0.02 * (1 + step % 3) / (1 + step)


def arrays(dtype: str) -> tuple[list[np.ndarray[Any, Any]], list[list[np.ndarray[Any, Any]]]]:
    """Two weights, and their gradients at every step; some of them tiny, where epsilon matters."""
    random = np.random.default_rng(0)
    shapes = [(4, 3), (5,)]
    weights = [random.normal(size=shape).astype(dtype) for shape in shapes]
    scales = 10.0 ** -random.integers(0, 6, STEPS)
    return weights, [[(scale * random.normal(size=shape)).astype(dtype) for shape in shapes] for scale in scales]


def torch_run(spec: OptimizerSpec, dtype: str) -> list[np.ndarray[Any, Any]]:
    weights, gradients = arrays(dtype)
    parameters = [torch.nn.Parameter(torch.from_numpy(weight.copy())) for weight in weights]
    optimizer = make_optimizer(spec, parameters)
    for step, values in enumerate(gradients):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.grad = torch.from_numpy(value.copy())
        optimizer.set_learning_rate(rate(step))
        optimizer.step()
    assert optimizer.iterations == STEPS
    return [parameter.detach().numpy() for parameter in parameters]


def keras_run(spec: OptimizerSpec, dtype: str) -> list[np.ndarray[Any, Any]]:
    import keras

    constants = spec.model_dump(exclude={"kind", "schedule"})
    make = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }
    optimizer = make[spec.kind](**constants)
    weights, gradients = arrays(dtype)
    variables = [keras.Variable(weight, dtype=dtype) for weight in weights]
    optimizer.build(variables)
    for step, values in enumerate(gradients):
        optimizer.learning_rate.assign(rate(step))
        optimizer.apply([keras.ops.convert_to_tensor(value) for value in values], variables)
    return [np.asarray(variable) for variable in variables]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in CASES), *((name, "float64") for name in ("adam", "adamw", "rmsprop centered"))]
)
def test_twenty_steps_are_those_of_keras(name: str, dtype: str) -> None:
    # Keras rounds the learning rate and beta_2 to float32 even for float64 weights; the formula itself is held to 1e-12 below.
    for ours, theirs in zip(torch_run(CASES[name], dtype), keras_run(CASES[name], dtype), strict=True):
        assert ours.dtype == theirs.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=3e-6)


def adam_by_hand(spec: AdamSpec) -> list[np.ndarray[Any, Any]]:
    weights, gradients = arrays("float64")
    means, squares = [np.zeros_like(one) for one in weights], [np.zeros_like(one) for one in weights]
    for step, values in enumerate(gradients, start=1):
        alpha = rate(step - 1) * np.sqrt(1 - spec.beta_2**step) / (1 - spec.beta_1**step)
        for weight, mean, square, gradient in zip(weights, means, squares, values, strict=True):
            mean += (1 - spec.beta_1) * (gradient - mean)
            square += (1 - spec.beta_2) * (gradient**2 - square)
            weight -= alpha * mean / (np.sqrt(square) + spec.epsilon)
    return weights


def test_adam_is_its_formula_in_float64() -> None:
    spec = AdamSpec(epsilon=1e-3)
    for ours, expected in zip(torch_run(spec, "float64"), adam_by_hand(spec), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


def test_torchs_own_adam_differs() -> None:
    """What the epsilon is for: without it, the test above would see nothing."""
    weights, gradients = arrays("float64")
    parameters = [torch.nn.Parameter(torch.from_numpy(weight.copy())) for weight in weights]
    optimizer = torch.optim.Adam(parameters, eps=1e-3)
    for step, values in enumerate(gradients):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.grad = torch.from_numpy(value.copy())
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.step()
    difference = np.abs(parameters[0].detach().numpy() - adam_by_hand(AdamSpec(epsilon=1e-3))[0]).max()
    assert difference > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_slots_go_out_and_in_to_the_bit(name: str) -> None:
    spec = CASES[name]
    weights, gradients = arrays("float32")
    whole = [torch.nn.Parameter(torch.from_numpy(weight.copy())) for weight in weights]
    first = make_optimizer(spec, whole)
    second = None
    for step, values in enumerate(gradients):
        if step == 7:
            parts = [torch.nn.Parameter(weight.detach().clone()) for weight in whole]
            second = make_optimizer(spec, parts)
            second.iterations = first.iterations
            for slot in first.slots:
                for old, new in zip(whole, parts, strict=True):
                    kept = first.slot(slot, old)
                    if kept is not None:
                        second.set_slot(slot, new, kept)
        for optimizer, parameters in [(first, whole)] + ([(second, parts)] if second else []):
            for parameter, value in zip(parameters, values, strict=True):
                parameter.grad = torch.from_numpy(value.copy())
            optimizer.set_learning_rate(rate(step))
            optimizer.step()
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("largest", "algorithm"), [(0.5, "norm"), (100.0, "norm"), (0.3, "value")])
def test_gradients_are_clipped_by_the_formula(largest: float, algorithm: str) -> None:
    values = [np.array([[3.0, -0.2], [0.1, 4.0]]), np.array([-12.0, 0.05])]
    weights = [torch.nn.Parameter(torch.zeros(value.shape, dtype=torch.float64)) for value in values]
    for weight, value in zip(weights, values, strict=True):
        weight.grad = torch.from_numpy(value.copy())
    without = torch.nn.Parameter(torch.zeros(2))
    clip_gradients([*weights, without], largest, algorithm)
    norm = np.sqrt(sum((value**2).sum() for value in values))
    for weight, value in zip(weights, values, strict=True):
        expected = np.clip(value, -largest, largest) if algorithm == "value" else value * min(1.0, largest / norm)
        np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-12)
    assert without.grad is None


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(UnsupportedArgument, match="no weight is trainable"):
        make_optimizer(AdamSpec(), [torch.nn.Parameter(torch.zeros(2), requires_grad=False)])


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnsupportedArgument, match=r"no optimizer 'rmsprob', only .*; did you mean 'rmsprop'\?"):
        make_optimizer(OptimizerSpec(kind="rmsprob"), [torch.nn.Parameter(torch.zeros(2))])
