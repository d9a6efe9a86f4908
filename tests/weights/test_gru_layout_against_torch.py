"""Mapped weights and gradients make ``torch.nn.GRU`` and a NumPy loop in Keras' layout the same layer, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles.gru_numpy import Settings, backward, forward

from framework.weights.gru_layout import keras_to_torch, stack_from_torch, stack_to_torch

pytestmark = pytest.mark.torch

BATCH, TIME, FEATURES, UNITS = 3, 5, 4, 6
TOLERANCE = {"rtol": 0, "atol": 1e-12}


def weights_of(random: np.random.Generator, features: int, bias: bool) -> dict[str, np.ndarray]:
    shapes = {"kernel": (features, 3 * UNITS), "recurrent_kernel": (UNITS, 3 * UNITS), "bias": (2, 3 * UNITS)}
    return {name: random.normal(size=shape) for name, shape in shapes.items() if bias or name != "bias"}


def filled(layer: torch.nn.GRU, state: dict[str, np.ndarray]) -> torch.nn.GRU:
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients(bias: bool) -> None:
    random = np.random.Generator(np.random.PCG64(1))
    weights = weights_of(random, FEATURES, bias)
    x, h0 = random.normal(size=(BATCH, TIME, FEATURES)), random.normal(size=(BATCH, UNITS))
    d_outputs, d_state = random.normal(size=(BATCH, TIME, UNITS)), random.normal(size=(BATCH, UNITS))
    run = forward(x, h0, weights["kernel"], weights["recurrent_kernel"], weights.get("bias"), None, Settings())
    expected = backward(run, d_outputs, d_state, x, weights["kernel"], weights["recurrent_kernel"], weights.get("bias"), Settings())

    layer = filled(torch.nn.GRU(FEATURES, UNITS, bias=bias, batch_first=True, dtype=torch.float64), keras_to_torch(weights))
    outputs, state = layer(torch.from_numpy(x), torch.from_numpy(h0)[None])
    np.testing.assert_allclose(outputs.detach().numpy(), run.outputs, **TOLERANCE)
    np.testing.assert_allclose(state[0].detach().numpy(), run.state, **TOLERANCE)

    ((outputs * torch.from_numpy(d_outputs)).sum() + (state[0] * torch.from_numpy(d_state)).sum()).backward()
    (found,), none = stack_from_torch({name: parameter.grad.numpy() for name, parameter in layer.named_parameters()})
    assert none == []
    assert found.keys() == weights.keys()
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-12 * max(1.0, np.abs(expected[name]).max()))


def test_a_wrong_gate_order_is_seen() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    weights = weights_of(random, FEATURES, True)
    x = random.normal(size=(BATCH, TIME, FEATURES))
    run = forward(x, np.zeros((BATCH, UNITS)), weights["kernel"], weights["recurrent_kernel"], weights["bias"], None, Settings())
    state = keras_to_torch(weights)
    layer = torch.nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    swapped = {name: np.roll(array, UNITS, axis=0) for name, array in state.items()}
    outputs, _ = filled(layer, swapped)(torch.from_numpy(x))
    assert np.abs(outputs.detach().numpy() - run.outputs).max() > 0.1


def test_a_stack_of_two_directions() -> None:
    random = np.random.Generator(np.random.PCG64(2))
    ways = [[weights_of(random, FEATURES, True), weights_of(random, 2 * UNITS, True)] for _ in range(2)]
    x = random.normal(size=(BATCH, TIME, FEATURES))
    expected = x
    for layer in range(2):
        found = []
        for weights, settings in zip((ways[0][layer], ways[1][layer]), (Settings(), Settings(go_backwards=True)), strict=True):
            zeros = np.zeros((BATCH, UNITS))
            found.append(forward(expected, zeros, weights["kernel"], weights["recurrent_kernel"], weights["bias"], None, settings).outputs)
        expected = np.concatenate([found[0], found[1][:, ::-1]], axis=-1)

    stack = torch.nn.GRU(FEATURES, UNITS, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    assert list(stack_to_torch(*ways)) == list(stack.state_dict())
    outputs, _ = filled(stack, stack_to_torch(*ways))(torch.from_numpy(x))
    np.testing.assert_allclose(outputs.detach().numpy(), expected, **TOLERANCE)
    back = stack_from_torch({name: array.numpy() for name, array in stack.state_dict().items()})
    for one, other in zip([*back[0], *back[1]], [*ways[0], *ways[1]], strict=True):
        for name in other:
            np.testing.assert_array_equal(one[name], other[name])
