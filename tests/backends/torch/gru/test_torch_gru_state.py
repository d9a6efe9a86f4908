"""State, dropout, penalties and constraints of the torch GRU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import torch

from framework.backends.torch import GRU
from framework.errors import InputError

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]


def test_a_stateful_layer_goes_on_where_it_was() -> None:
    whole = GRU(4, input_dim=5)
    parts = GRU(4, stateful=True, batch_input_shape=(2, None, 5), weights=whole.get_weights())
    x = torch.randn(2, 6, 5)
    assert torch.equal(parts.states[0], torch.zeros(2, 4))
    parts(x[:, :2])
    torch.testing.assert_close(parts(x[:, 2:]), whole(x))
    torch.testing.assert_close(parts.states[0], whole(x).detach())
    assert not parts.states[0].requires_grad


def test_the_numbers_of_a_stateful_layer_are_those_of_tf_keras() -> None:
    theirs = tf_keras.layers.GRU(4, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 5))
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    theirs.build((2, 3, 5))
    ours = GRU(4, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 5), weights=theirs.get_weights())
    for _ in range(3):
        np.testing.assert_allclose(ours(torch.tensor(x)).detach().numpy(), theirs(x).numpy(), atol=1e-6)
    state = np.full((2, 4), 0.25, np.float32)
    theirs.reset_states([state])
    ours.reset_states([state])
    np.testing.assert_allclose(ours(torch.tensor(x)).detach().numpy(), theirs(x).numpy(), atol=1e-6)
    theirs.reset_states()
    ours.reset_states()
    np.testing.assert_allclose(ours(torch.tensor(x)).detach().numpy(), theirs(x).numpy(), atol=1e-6)


def test_a_given_state_wins_over_the_kept_one() -> None:
    layer = GRU(4, stateful=True, batch_input_shape=(2, None, 5))
    x, h = torch.randn(2, 3, 5), torch.randn(2, 4)
    expected = layer(x, initial_state=h)
    layer(x)
    assert torch.equal(layer(x, initial_state=h), expected)


def test_states_before_and_after_the_first_batch() -> None:
    layer = GRU(4, stateful=True)
    assert layer.states == [None]
    layer.reset_states()
    assert layer.states == [None]
    layer(torch.randn(3, 2, 5))
    assert layer.states[0].shape == (3, 4)
    with pytest.raises(InputError, match="keeps 3 rows, but this batch has 2"):
        layer(torch.randn(2, 2, 5))
    layer.reset_states(np.ones((2, 4), np.float32))
    layer(torch.randn(2, 2, 5))
    with pytest.raises(InputError, match=r"states has the shape \(4,\)"):
        layer.reset_states(torch.zeros(4))
    with pytest.raises(InputError, match="states has 2 states"):
        layer.reset_states([torch.zeros(2, 4)] * 2)
    assert GRU(4, input_dim=5).states == [None]
    assert "state" not in layer.state_dict(), "a model trained on batches of 64 must load for a batch of 1"


def test_a_first_call_in_inference_mode_leaves_a_layer_that_trains() -> None:
    layer = GRU(4, stateful=True)
    x = torch.randn(2, 3, 5)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.kernel.grad is not None


def test_get_initial_state() -> None:
    layer = GRU(4, input_dim=5, time_major=True)
    (state,) = layer.get_initial_state(torch.zeros(7, 3, 5))
    assert torch.equal(state, torch.zeros(3, 4))
    assert layer.get_initial_state(batch_size=2)[0].shape == (2, 4)


def test_dropout_masks_are_the_ones_applied() -> None:
    layer = GRU(4, input_dim=5, dropout=0.5, recurrent_dropout=0.5, implementation=1)
    x = torch.randn(3, 6, 5)
    masks = layer.get_dropout_mask_for_cell(x[:, 0], training=True, count=3)
    recurrent = layer.get_recurrent_dropout_mask_for_cell(torch.zeros(3, 4), training=True, count=3)
    first = layer(x)
    assert all(torch.equal(one, two) for one, two in zip(layer.get_dropout_mask_for_cell(x[:, 0], True, 3), masks, strict=True))
    second = layer(x)
    assert not torch.equal(first, second), "a mask serves one batch"
    layer.set_dropout_masks(masks, recurrent)
    assert torch.equal(layer(x), first)


def test_masks_of_a_call_can_be_looked_at_and_applied_by_hand() -> None:
    layer = GRU(4, input_dim=5, dropout=0.5)
    x = torch.randn(3, 6, 5)
    dropped = layer(x)
    mask = layer.get_dropout_mask_for_cell(x, training=None)
    assert mask.shape == (3, 1, 5) and set(mask.unique().tolist()) <= {0.0, 2.0}
    torch.testing.assert_close(layer(x * mask, training=False), dropped)
    assert torch.equal(layer(x, training=False), layer.eval()(x))


def test_masks_by_rate_mode_and_count() -> None:
    layer = GRU(4, input_dim=5, dropout=0.5)
    x = torch.randn(3, 5)
    assert layer.get_recurrent_dropout_mask_for_cell(x, training=True) is None
    assert torch.equal(layer.get_dropout_mask_for_cell(x, training=False), torch.ones(3, 5))
    one = layer.get_dropout_mask_for_cell(x, training=True)
    assert layer.get_dropout_mask_for_cell(x, training=True) is one
    three = layer.get_dropout_mask_for_cell(x, training=True, count=3)
    assert len(three) == 3 and three[0] is one
    with pytest.raises(InputError, match=r"dropout mask kept for the next call has the shape \(3, 5\).*reset_dropout_mask\(\)"):
        layer(torch.randn(2, 2, 5))
    layer.reset_dropout_mask()
    layer(torch.randn(2, 2, 5))
    assert layer.get_dropout_mask_for_cell(x, training=True).shape == (3, 5), "applied masks give way to those of another batch"


def test_dropout_of_one_drops_everything() -> None:
    layer = GRU(4, input_dim=5, dropout=1.0)
    x = torch.randn(3, 6, 5)
    assert torch.equal(layer(x), layer(torch.zeros_like(x), training=False))


def test_the_share_of_dropped_inputs() -> None:
    layer = GRU(4, input_dim=100, dropout=0.3)
    mask = layer.get_dropout_mask_for_cell(torch.zeros(200, 100), training=True)
    assert (mask == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.02)


def test_a_seed_fixes_the_masks_and_a_loaded_layer_goes_on() -> None:
    x = torch.randn(3, 6, 5)
    layer = GRU(4, input_dim=5, dropout=0.5, recurrent_dropout=0.5, seed=1)
    twin = GRU(4, input_dim=5, dropout=0.5, recurrent_dropout=0.5, seed=1, weights=layer.get_weights())
    assert torch.equal(layer(x), twin(x))
    saved = {name: value.clone() for name, value in layer.state_dict().items()}
    expected = [layer(x) for _ in range(2)]
    assert not torch.equal(*expected)
    fresh = GRU(4, dropout=0.5, recurrent_dropout=0.5, seed=1)
    fresh.load_state_dict(saved)
    assert all(torch.equal(fresh(x), one) for one in expected)
    other = GRU(4, input_dim=5, dropout=0.5, recurrent_dropout=0.5, seed=2, weights=layer.get_weights())
    assert not torch.equal(other(x), GRU.from_config(twin.get_config() | {"weights": layer.get_weights()})(x))


@pytest.mark.parametrize("reset_after", [True, False])
def test_dropout_is_that_of_tf_keras_with_the_same_masks(reset_after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    arguments: dict[str, Any] = {"dropout": 0.5, "recurrent_dropout": 0.5, "reset_after": reset_after, "return_sequences": True}
    masks = [(rng.random((3, 5)) < 0.5) * 2.0 for _ in range(3)]
    recurrent = [(rng.random((3, 4)) < 0.5) * 2.0 for _ in range(3)]
    x = rng.normal(size=(3, 6, 5))
    theirs = tf_keras.layers.GRU(4, **arguments, dtype="float64")
    theirs.build(x.shape)
    monkeypatch.setattr(theirs.cell, "get_dropout_mask_for_cell", lambda *_, **__: [tf.constant(one) for one in masks])
    monkeypatch.setattr(theirs.cell, "get_recurrent_dropout_mask_for_cell", lambda *_, **__: [tf.constant(one) for one in recurrent])
    ours = GRU(4, **arguments, dtype="float64", input_dim=5, weights=theirs.get_weights())
    ours.set_dropout_masks([torch.tensor(one) for one in masks], [torch.tensor(one) for one in recurrent])
    found = ours(torch.tensor(x), training=True).detach().numpy()
    np.testing.assert_allclose(found, theirs(x, training=True).numpy(), atol=1e-10)


@pytest.mark.parametrize("time_major", [False, True])
def test_penalties_are_those_of_tf_keras(time_major: bool) -> None:
    arguments: dict[str, Any] = {
        "kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2", "activity_regularizer": "l2",
        "return_sequences": True, "return_state": True, "bias_initializer": "ones", "time_major": time_major,
    }  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    theirs = tf_keras.layers.GRU(4, **arguments)
    theirs(x)
    ours = GRU(4, **arguments, input_dim=5, weights=theirs.get_weights())
    ours(torch.tensor(x))
    np.testing.assert_allclose(sorted(one.item() for one in ours.losses()), sorted(float(one) for one in theirs.losses), rtol=1e-5)
    assert len(ours.losses()) == 5
    sum(ours.losses()).backward()
    assert all(one.grad is not None for one in ours.parameters())


def test_penalties_of_outputs_are_of_the_last_call() -> None:
    layer = GRU(4, input_dim=5, activity_regularizer="l2")
    assert layer.losses() == []
    layer(torch.randn(2, 3, 5))
    layer(torch.randn(2, 3, 5))
    assert len(layer.losses()) == 1


def test_constraints_are_applied_when_asked_and_not_before() -> None:
    layer = GRU(4, input_dim=5, kernel_constraint="non_neg", recurrent_constraint="unit_norm", bias_constraint="max_norm")
    kernel = layer.kernel.detach().clone()
    assert kernel.min() < 0
    version = layer.kernel
    layer.apply_constraints()
    assert layer.kernel is version
    torch.testing.assert_close(layer.kernel, kernel.clamp_min(0))
    torch.testing.assert_close(layer.recurrent_kernel.square().sum(0), torch.ones(12), atol=1e-4, rtol=0)


def test_a_step_is_a_step_of_the_sequence() -> None:
    for arguments in ({}, {"reset_after": False, "activation": "relu"}, {"use_bias": False}, {"activation": "softmax"}):
        layer = GRU(4, input_dim=5, return_sequences=True, dropout=0.5, **arguments)
        x, state = torch.randn(2, 3, 5), torch.randn(2, 4)
        expected = layer(x, initial_state=state, training=False)
        for t in range(3):
            state = layer.step(x[:, t], state)
            torch.testing.assert_close(state, expected[:, t])
