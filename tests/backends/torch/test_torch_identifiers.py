"""Keras' activations, regularizers, constraints and initializers on torch tensors give Keras' numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from framework.backends.torch.activations import FUNCTIONS, activation, activation_name
from framework.backends.torch.identifiers import constraint, initializer, regularizer
from framework.errors import SpecError, UnsupportedArgument
from framework.spec.identifiers import ACTIVATIONS, Identifier
from framework.weights.initializers import initial_weight

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]


def identify(name: str, **config: Any) -> Identifier:
    return Identifier(class_name=name, config=config)


def keras_activation(name: str) -> Any:
    if name == "hard_sigmoid_tf2":
        return lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)
    return keras.activations.get(name)


ROUNDED_CONSTANTS = {"gelu": 1e-8, "leaky_relu": 2e-7}
"""TensorFlow rounds a constant of these to float32 even for float64 values."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_and_its_gradient_are_those_of_keras(name: str) -> None:
    points = np.concatenate([np.linspace(-30, 30, 61) + 0.01, [-1e-3, 1e-3, 25.5, 45.0, -45.0]]).reshape(3, 22)
    ours = torch.tensor(points, requires_grad=True)
    activation(identify(name))(ours).square().sum().backward()
    theirs = tf.Variable(points)
    with tf.GradientTape() as tape:
        value = keras_activation(name)(theirs)
        loss = tf.reduce_sum(tf.square(value))
    coarse = ROUNDED_CONSTANTS.get(name, 0.0)
    np.testing.assert_allclose(activation(name)(ours).detach().numpy(), value.numpy(), rtol=1e-10, atol=coarse or 1e-12)
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), tape.gradient(loss, theirs).numpy(), rtol=1e-9 + 5 * coarse, atol=coarse or 1e-10)


def test_activation_takes_null_names_and_functions() -> None:
    x = torch.tensor([-1.0, 2.0])
    assert activation(None)(x) is x
    assert activation("swish") is FUNCTIONS["silu"]
    assert activation({"class_name": "ReLU", "config": {}}) is FUNCTIONS["relu"]
    assert activation(torch.cos) is torch.cos


def test_torch_functions_are_recognized_by_what_they_compute() -> None:
    named = {torch.tanh: "tanh", torch.nn.functional.sigmoid: "sigmoid", torch.nn.Tanh(): "tanh", torch.relu: "relu"}
    assert {function: activation_name(function) for function in named} == named
    assert activation_name(torch.cos) is None


def test_an_unknown_activation_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown activation 'tahn'[\s\S]*did you mean: tanh"):
        activation("tahn")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("l1", {}),
        ("l1", {"l1": 0.3}),
        ("l2", {}),
        ("l2", {"l2": 0.3}),
        ("l1_l2", {}),
        ("l1_l2", {"l1": 0.1, "l2": 0.2}),
        ("orthogonal_regularizer", {}),
        ("orthogonal_regularizer", {"factor": 0.5, "mode": "columns"}),
    ],
)
def test_regularizer_is_that_of_keras(name: str, config: dict[str, Any]) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    weight[1] = 0.0
    theirs = getattr(keras.regularizers, name)(**config)(tf.constant(weight))
    np.testing.assert_allclose(regularizer(identify(name, **config))(torch.tensor(weight)).item(), float(theirs), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("non_neg", {}),
        ("max_norm", {}),
        ("max_norm", {"max_value": 0.5, "axis": 1}),
        ("unit_norm", {}),
        ("unit_norm", {"axis": [0, 1]}),
        ("min_max_norm", {}),
        ("min_max_norm", {"min_value": 0.4, "max_value": 0.6, "rate": 0.3, "axis": 1}),
    ],
)
def test_constraint_is_that_of_keras(name: str, config: dict[str, Any]) -> None:
    weight = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    weight[:, 2] = 0.0
    theirs = getattr(keras.constraints, name)(**config)(tf.constant(weight))
    np.testing.assert_allclose(constraint(identify(name, **config))(torch.tensor(weight)).numpy(), np.asarray(theirs), rtol=1e-6)


def test_initializers_are_those_of_both_backends() -> None:
    drawn = initializer(identify("he_normal", seed=3))((40, 60))
    np.testing.assert_array_equal(drawn.numpy(), initial_weight(identify("he_normal", seed=3), (40, 60), 0, ""))
    assert initializer(identify("constant", value=3.0))((2,), dtype=torch.float64).tolist() == [3.0, 3.0]


def test_the_seed_of_an_initializer_wins() -> None:
    draw = initializer(identify("glorot_uniform", seed=3))
    assert torch.equal(draw((3, 4)), draw((3, 4), generator=torch.Generator().manual_seed(9)))
    free = initializer(None)
    assert not torch.equal(free((3, 4)), free((3, 4)))
    one, two = (free((3, 4), generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnsupportedArgument, match="initializer 'orthogonal' needs a weight of at least two dimensions"):
        initializer(identify("orthogonal"))((3,))
    with pytest.raises(UnsupportedArgument, match="'mode' of 'orthogonal_regularizer' is 'diagonal'"):
        regularizer(identify("orthogonal_regularizer", mode="diagonal"))
    with pytest.raises(UnsupportedArgument, match="regularizer 'l3'"):
        regularizer(identify("l3"))
    with pytest.raises(UnsupportedArgument, match="constraint 'soft'"):
        constraint(identify("soft"))
