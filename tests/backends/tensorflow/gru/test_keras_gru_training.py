"""The Keras GRU inside models: fit, saving, statefulness, mixed precision, penalties, constraints, wrappers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from framework.backends.tensorflow import GRU

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 5, 3)).astype(np.float32), RNG.normal(size=(4, 1)).astype(np.float32)
X[0, 3:] = X[1, :2] = X[2] = 0.0  # masked right, left and wholly


def encoder_decoder(**arguments: Any) -> keras.Model:
    inputs = keras.Input((None, 3), name="inputs")
    masked = keras.layers.Masking()(inputs)
    output, state = GRU(6, return_sequences=True, return_state=True, name="encoder", **arguments)(masked)
    last = GRU(6, go_backwards=True, reset_after=False, name="decoder", **arguments)(output, initial_state=state)
    return keras.Model(inputs, keras.layers.Dense(1)(last))


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_model_trains_saves_and_loads(jit_compile: bool, tmp_path: Path) -> None:
    model = encoder_decoder(dropout=0.1, recurrent_dropout=0.1, implementation=1)
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=jit_compile)
    before = np.mean((model(X) - Y) ** 2)
    model.fit(X, Y, epochs=8, batch_size=4, verbose=0)
    found = model(X)
    assert np.mean((found - Y) ** 2) < 0.7 * before
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(X), found)
    assert isinstance(again.get_layer("encoder"), GRU) and again.get_layer("decoder").implementation == 1


def test_a_model_is_exported(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 3)), GRU(4)])
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(X), model(X), atol=1e-6)


def test_implementation_1_with_dropout_alone_trains() -> None:
    layer = GRU(4, dropout=0.5, implementation=1, input_dim=3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X, training=True) ** 2)
    assert all(np.any(one) for one in tape.gradient(loss, [weight.value for weight in layer.trainable_variables]))


def test_a_masked_model_gives_what_tf_keras_gives() -> None:
    inputs = tf_keras.Input((None, 3))
    masked = tf_keras.layers.Masking()(inputs)
    output, state = tf_keras.layers.GRU(6, return_sequences=True, return_state=True)(masked)
    last = tf_keras.layers.GRU(6, go_backwards=True, reset_after=False)(output, initial_state=state)
    theirs = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(last))
    model = encoder_decoder()
    model.set_weights(theirs.get_weights())
    np.testing.assert_allclose(model(X), theirs(X), atol=1e-6)


def test_mixed_precision_keeps_weights_in_float32() -> None:
    layer = GRU(6, return_sequences=True, input_dim=3, dtype="mixed_bfloat16")
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1, dtype="mixed_bfloat16")])
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    assert layer(X).dtype == tf.bfloat16
    plain = GRU(6, return_sequences=True, weights=layer.get_weights(), input_dim=3)
    np.testing.assert_allclose(tf.cast(layer(X), tf.float32), plain(X), atol=3e-2)
    model.compile("sgd", "mse", jit_compile=False)
    before = layer.get_weights()
    assert np.isfinite(model.train_on_batch(X, np.ones((4, 5, 1))))
    assert all(np.any(one != two) for one, two in zip(before, layer.get_weights(), strict=True))


def test_a_stateful_model_carries_its_states_through_fit() -> None:
    model = keras.Sequential([GRU(4, stateful=True, batch_input_shape=(2, 5, 3)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    layer = model.layers[0]
    model.fit(X, Y, batch_size=2, shuffle=False, verbose=0)
    carried = keras.ops.convert_to_numpy(layer.states[0])
    layer.reset_states()
    layer(X[:2])
    np.testing.assert_allclose(layer(X[2:]), carried, atol=1e-6)


def test_penalties_reach_the_loss_and_constraints_follow_the_step() -> None:
    arguments: dict[str, Any] = {
        "kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2", "activity_regularizer": "l2",
        "return_state": True,
    }  # fmt: skip
    theirs, layer = tf_keras.layers.GRU(4, **arguments), GRU(4, kernel_constraint="unit_norm", **arguments)
    theirs(X)
    layer.build(X.shape)
    layer.set_weights(theirs.get_weights())
    theirs(X), layer(X)
    # Both layers count the state as an output too.
    assert len(layer.losses) == len(theirs.losses) == 5
    assert float(sum(layer.losses)) == pytest.approx(float(sum(theirs.losses)), rel=1e-5)
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)[0]))
    model.compile("sgd", "mse", jit_compile=False)
    assert np.abs(np.linalg.norm(layer.get_weights()[0], axis=0) - 1).max() > 0.01
    model.fit(X, Y, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(layer.get_weights()[0], axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("kind", [GRU, keras.layers.GRU], ids=["ours", "keras"])
def test_every_call_of_a_shared_layer_is_penalised_and_its_weights_are_constrained_once(kind: Any) -> None:
    layer = kind(
        3, return_sequences=True, return_state=True, activity_regularizer="l2", kernel_regularizer="l2", kernel_constraint="unit_norm"
    )
    one, other = keras.Input((5, 3)), keras.Input((5, 3))
    calls = [layer(one), layer(other), layer(layer(one)[0])]
    model = keras.Model([one, other], [tensor for call in calls for tensor in call])
    outputs = [*model([X, 2 * X]), *layer(X)]  # the inner call of the third counts as well
    model([X, 2 * X])
    expected = 0.01 * float(sum(np.sum(np.square(tensor)) for tensor in outputs)) / len(X)
    expected += 0.01 * float(np.sum(np.square(layer.get_weights()[0])))
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    model.compile("sgd", loss=[None] * 5 + ["mse"], jit_compile=False)
    model.fit([X, 2 * X], [np.zeros((4, 3), np.float32)] * 6, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(layer.get_weights()[0], axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("reset_after", [False, True])
def test_activations_that_are_layers_have_their_weights_from_the_start(reset_after: bool, tmp_path: Path) -> None:
    def make(kind: Any) -> keras.Model:
        functions = {
            name: keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(value))
            for name, value in (("activation", 0.3), ("recurrent_activation", 0.5))
        }
        return keras.Sequential([keras.Input((5, 3)), kind(4, reset_after=reset_after, **functions), keras.layers.Dense(1)])

    keras.utils.set_random_seed(0)  # some weights would make it diverge
    ours, its = make(GRU), make(keras.layers.GRU)
    shapes = [tuple(weight.shape) for weight in ours.layers[0].trainable_variables]
    assert sorted(shapes[3:]) == [(4,), (4,)], "at once, and one for both gates, as Keras has it once it has run"
    its(X)
    its.set_weights(ours.get_weights())
    for model in (ours, its):
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
        model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    for found, expected in zip(ours.get_weights(), its.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for weight, start in zip(ours.layers[0].trainable_variables[3:], (0.3, 0.5), strict=True):
        assert np.abs(weight - start).max() > 1e-5, "trained"
    ours.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras", safe_mode=True)(X), ours(X))


def test_dropout_differs_from_batch_to_batch_and_repeats_by_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        layer = GRU(4, dropout=0.5, recurrent_dropout=0.5, seed=seed, input_dim=3, kernel_initializer="ones", recurrent_initializer="ones")
        drawn.append([layer(X, training=True).numpy().tolist() for _ in range(3)])
        assert drawn[-1][0] != drawn[-1][1] != drawn[-1][2]
    assert drawn[0] == drawn[1] != drawn[2]


def test_masks_of_a_graph_do_not_leak() -> None:
    layer = GRU(4, dropout=0.5, input_dim=3)
    graph = tf.function(lambda x: layer(x, training=True))
    first, second = graph(X), graph(X)
    assert np.abs(first - second).max() > 1e-4
    assert layer.get_dropout_mask_for_cell(X, training=True).numpy().shape == (4, 3)


def test_a_tensor_may_say_whether_it_is_training() -> None:
    layer = GRU(4, dropout=0.5, input_dim=3)
    graph = tf.function(lambda x, training: layer(x, training=training))
    np.testing.assert_allclose(graph(X, tf.constant(False)), layer(X), atol=1e-6)
    assert np.abs(graph(X, tf.constant(True)) - layer(X)).max() > 1e-4


@pytest.mark.parametrize("merge_mode", ["concat", None])
def test_keras_wrapper_for_both_directions(merge_mode: str | None) -> None:
    layer = keras.layers.Bidirectional(GRU(4, return_sequences=True, return_state=True), merge_mode=merge_mode)
    theirs = tf_keras.layers.Bidirectional(tf_keras.layers.GRU(4, return_sequences=True, return_state=True), merge_mode=merge_mode)
    mask = np.any(X != 0, axis=-1)
    theirs(X)
    layer.build(X.shape)
    layer.set_weights(theirs.get_weights())
    expected = theirs(X, mask=tf.constant(mask))
    found = layer(X, mask=mask)
    assert len(found) == len(expected)
    for ours, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, its, atol=1e-6)
