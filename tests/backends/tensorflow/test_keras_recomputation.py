"""Gradients that run a part again: dropout and recorded states must be what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from framework.backends.tensorflow import GRU
from framework.backends.tensorflow.layers.dropout import Dropout
from framework.backends.tensorflow.recomputation import LATEST, recompute_codes
from framework.errors import UnsupportedArgument

pytestmark = pytest.mark.tensorflow

Run = Callable[[tf.Tensor], tf.Tensor]

ROWS, TIME, WIDTH = 3, 5, 4


def gru(**arguments: Any) -> GRU:
    layer = GRU(WIDTH, return_sequences=True, batch_input_shape=(ROWS, TIME, WIDTH), seed=7, **arguments)
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


LAYERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "dropout": lambda: gru(dropout=0.5),
    "three masks": lambda: gru(dropout=0.5, implementation=1),
    "recurrent": lambda: gru(recurrent_dropout=0.5),
    "stateful with dropout": lambda: gru(stateful=True, dropout=0.3, recurrent_dropout=0.3),
    "stateful": lambda: gru(stateful=True),
    "layer": lambda: Dropout(0.5, seed=7),
    "noise shape": lambda: Dropout(0.5, noise_shape=(None, 1, None), seed=7),
}


def plain(run: Run) -> Run:
    return run


def in_two_depths(run: Run) -> Run:
    result: Run = tf.recompute_grad(tf.recompute_grad(run))
    return result


WAYS: dict[str, Callable[[Run], Run]] = {"once": tf.recompute_grad, "in two depths": in_two_depths}


def outcome(layer: keras.layers.Layer, way: Callable[[Run], Run], form: str, calls: int = 1, persistent: bool = False) -> list[Any]:
    """Outputs, gradients and states of two steps; ``calls`` of the layer in each, each a part of its own."""

    def step(x: tf.Tensor) -> list[tf.Tensor]:
        found = []
        with tf.GradientTape(persistent=persistent) as tape:
            tape.watch(x)
            y = x
            for _ in range(calls):
                y = way(lambda y: layer(y, training=True))(y)
            loss = tf.reduce_sum(y * y)
        for _ in range(2 if persistent else 1):
            found += [one for one in tape.gradient(loss, [x, *layer.trainable_variables]) if one is not None]
        return [y, *found]

    run = tf.function(step, autograph=False) if form == "graph" else step
    xs = np.random.default_rng(1).normal(size=(2, ROWS, TIME, WIDTH)).astype(np.float32)
    found = [one.numpy() for x in xs for one in run(tf.constant(x))]
    states = [state.numpy() for state in getattr(layer, "states", None) or ()]
    return [*found, *states, *(np.array(variable) for variable in layer.non_trainable_variables)]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("way", "form"),
    [
        ("once", "graph"),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (("once", "eager"), ("in two depths", "eager"), ("in two depths", "graph"))
        ),
    ],
)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_that_is_run_again_is_what_it_was(kind: str, way: str, form: str) -> None:
    assert_same(outcome(LAYERS[kind](), WAYS[way], form), outcome(LAYERS[kind](), plain, form))


@pytest.mark.parametrize("kind", ["stateful with dropout", "layer"])
def test_parts_that_share_a_layer_each_find_their_own_call(kind: str) -> None:
    expected = outcome(LAYERS[kind](), plain, "eager", calls=3, persistent=True)
    assert_same(outcome(LAYERS[kind](), tf.recompute_grad, "eager", calls=3, persistent=True), expected)

    def three(layer: keras.layers.Layer) -> Run:
        return lambda x: layer(layer(layer(x, training=True), training=True), training=True)

    layer = LAYERS[kind]()
    x = tf.constant(np.random.default_rng(1).normal(size=(2, ROWS, TIME, WIDTH)).astype(np.float32)[0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.recompute_grad(three(layer))(x)
        loss = tf.reduce_sum(y * y)
    np.testing.assert_allclose(y, expected[0], atol=1e-5)
    for _ in range(2):
        np.testing.assert_allclose(tape.gradient(loss, x), expected[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["stateful with dropout", "layer"])
def test_kerass_own_scope_is_served(kind: str) -> None:
    with keras.RematScope(mode="full"):
        layer = LAYERS[kind]()
    assert_same(outcome(layer, plain, "eager"), outcome(LAYERS[kind](), plain, "eager"))


def test_too_many_parts_are_refused() -> None:
    layer, x = Dropout(0.5, seed=1), tf.Variable(tf.ones((2, 3)))
    part = tf.recompute_grad(lambda x: layer(x, training=True))

    def slope(parts: int) -> tf.Tensor:
        with tf.GradientTape() as tape:
            total = tf.add_n([tf.reduce_sum(part(x.value())) for _ in range(parts)])
        return tape.gradient(total, x)

    slope(LATEST)
    with pytest.raises(UnsupportedArgument, match=f"dropout.*: tf.recompute_grad runs it again, .* last {LATEST} parts"):
        slope(LATEST + 1)


def test_tensorflow_still_runs_parts_again_by_the_functions_that_are_looked_for() -> None:
    """They are no public names; here a release shows that they moved."""
    first, again = recompute_codes()
    assert first is not None and again is not None
    assert "kwargs" in first.co_cellvars and "kwargs" in again.co_freevars


def test_a_saved_model_with_dropout_loads(tmp_path: Any) -> None:
    model = keras.Sequential([keras.Input((TIME, WIDTH)), Dropout(0.5, seed=3), GRU(WIDTH, dropout=0.2)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = np.ones((2, TIME, WIDTH), np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    assert isinstance(loaded.layers[0], Dropout) and loaded.layers[0].get_config()["seed"] == 3
