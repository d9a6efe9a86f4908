"""The maps between Keras' and torch's GRU weights, without either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import CheckpointError, UnsupportedArgument
from framework.weights.gru_layout import keras_to_torch, stack_from_torch, stack_to_torch, swap_gates, torch_to_keras

U, F = 2, 3
Z, R, H = 1.0, 2.0, 3.0


def keras_weights(features: int = F, units: int = U, bias: bool = True, seed: int = 0, dtype: str = "float64") -> dict[str, np.ndarray]:
    random = np.random.Generator(np.random.PCG64(seed))
    shapes = {"kernel": (features, 3 * units), "recurrent_kernel": (units, 3 * units), "bias": (2, 3 * units)}
    return {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items() if bias or name != "bias"}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        np.testing.assert_array_equal(first[name], second[name])


def test_gates_and_axes_by_hand() -> None:
    gates = np.repeat([Z, R, H], U)
    weights = {
        "kernel": gates + 10 * np.arange(F)[:, None],
        "recurrent_kernel": gates + 10 * np.arange(U)[:, None],
        "bias": np.stack([gates, gates + 100]),
    }
    state = keras_to_torch(weights, layer=1, reverse=True)
    rows = np.repeat([R, Z, H], U)
    assert list(state) == ["weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse"]
    np.testing.assert_array_equal(state["weight_ih_l1_reverse"], rows[:, None] + 10 * np.arange(F))
    np.testing.assert_array_equal(state["weight_hh_l1_reverse"], rows[:, None] + 10 * np.arange(U))
    np.testing.assert_array_equal(state["bias_ih_l1_reverse"], rows)
    np.testing.assert_array_equal(state["bias_hh_l1_reverse"], rows + 100)


@given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.sampled_from(["float16", "float32", "float64"]))
def test_there_and_back(features: int, units: int, bias: bool, dtype: str) -> None:
    weights = keras_weights(features, units, bias, dtype=dtype)
    state = keras_to_torch(weights)
    assert all(array.flags.c_contiguous for array in state.values())
    assert not any(np.shares_memory(array, given_array) for array in state.values() for given_array in weights.values())
    same(torch_to_keras(state), weights)
    np.testing.assert_array_equal(swap_gates(swap_gates(weights["kernel"])), weights["kernel"])


@pytest.mark.parametrize("two_ways", [False, True])
def test_stacks_there_and_back(two_ways: bool) -> None:
    forward = [keras_weights(F, U, seed=1), keras_weights(2 * U if two_ways else U, U, seed=2)]
    backward = [keras_weights(F, U, seed=3), keras_weights(2 * U, U, seed=4)] if two_ways else []
    state = stack_to_torch(forward, backward)
    assert len(state) == (16 if two_ways else 8)
    found_forward, found_backward = stack_from_torch(state)
    for found, given_layers in [(found_forward, forward), (found_backward, backward)]:
        assert len(found) == len(given_layers)
        for one, other in zip(found, given_layers, strict=True):
            same(one, other)


def test_errors_name_what_is_wrong() -> None:
    weights = keras_weights()
    with pytest.raises(UnsupportedArgument, match=r"a bias of shape \(6,\) belongs to reset_after=False, which torch.nn.GRU does not have"):
        keras_to_torch({**weights, "bias": np.zeros(6)})
    with pytest.raises(CheckpointError, match="weight 'recurrent_kernel' of a GRU is missing among kernel"):
        keras_to_torch({"kernel": weights["kernel"]})
    with pytest.raises(CheckpointError, match=r"weight 'kernel' of a GRU has shape \(3, 9\); expected \(any, 6\)"):
        keras_to_torch({**weights, "kernel": np.zeros((3, 9))})
    with pytest.raises(CheckpointError, match=r"weight 'bias' of a GRU has shape \(2, 9\); expected \(2, 6\)"):
        keras_to_torch({**weights, "bias": np.zeros((2, 9))})
    state = keras_to_torch(weights)
    with pytest.raises(CheckpointError, match=r"weight 'bias_hh_l0' of a GRU is missing among weight_ih_l0, weight_hh_l0, bias_ih_l0$"):
        torch_to_keras({name: array for name, array in state.items() if name != "bias_hh_l0"})
    with pytest.raises(CheckpointError, match=r"weight 'weight_ih_l0' of a GRU has shape \(9, 3\); expected \(6, any\)"):
        torch_to_keras({**state, "weight_ih_l0": np.zeros((9, 3))})
    with pytest.raises(CheckpointError, match=r"no weight_ih_l0 among no weights; expected the state of a torch.nn.GRU"):
        stack_from_torch({})
    with pytest.raises(CheckpointError, match="2 layers read forwards and 1 backwards; expected as many or none"):
        stack_to_torch([weights, weights], [weights])
    with pytest.raises(CheckpointError, match=r"the last axis of shape \(2, 4\) does not hold the three gates"):
        swap_gates(np.zeros((2, 4)))
