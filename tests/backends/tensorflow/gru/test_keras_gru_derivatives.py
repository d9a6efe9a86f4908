"""Derivatives of every order and by every tool of TensorFlow: those of Keras' own layer, and differences of the NumPy oracle's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from oracles import gru_numpy

from framework.backends.tensorflow import GRU

pytestmark = pytest.mark.tensorflow

BATCH, TIME, UNITS = 2, 3, 3
RNG = np.random.default_rng(0)
X = tf.constant(RNG.normal(size=(BATCH, TIME, UNITS)))
MASK = tf.constant(np.array([[1, 0, 1], [0, 1, 1]], bool))
WEIGHTS = [RNG.normal(size=shape) for shape in ((UNITS, 3 * UNITS), (UNITS, 3 * UNITS), (2, 3 * UNITS))]

Layer = Any
Form = Callable[[Layer, tf.Tensor], tf.Tensor]


def made(kind: Any, **arguments: Any) -> Layer:
    layer = kind(UNITS, return_sequences=True, dtype="float64", **arguments)
    layer.build(X.shape)
    layer.set_weights(WEIGHTS if layer.reset_after else [*WEIGHTS[:2], WEIGHTS[2][0]])
    return layer


def pair(**arguments: Any) -> tuple[Layer, Layer]:
    """Ours, and Keras' own with the same weights."""
    return made(GRU, **arguments), made(keras.layers.GRU, **arguments)


def sources(layer: Layer, x: tf.Tensor) -> list[tf.Tensor]:
    return [x, *(weight.value for weight in layer.trainable_variables)]


def once(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    return layer(x, training=True)


def chained(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    return layer(layer(x, training=True), training=True)


def shared(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    return layer(x, training=True) * layer(tf.sin(x), training=True)


def continued(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    return layer(x, initial_state=layer(x, training=True)[:, -1], training=True)


def masked(layer: Layer, x: tf.Tensor) -> tf.Tensor:
    return layer(layer(x, mask=MASK, training=True), mask=MASK, training=True)


FORMS = (once, chained, shared, continued, masked)


def same(found: Any, expected: Any) -> None:
    found, expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    for ours, its in zip(found, expected, strict=True):
        assert np.any(its), "a derivative that is zero shows nothing"
        np.testing.assert_allclose(ours, its, rtol=0, atol=1e-10 * max(1.0, float(np.abs(its).max())))


def second_order(layer: Layer, form: Form, x: tf.Tensor) -> list[tf.Tensor]:
    """Gradients by the inputs and all weights, and the gradients of a function of all of those."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.reduce_sum(form(layer, x) ** 2)
        gradients = inner.gradient(loss, sources(layer, x))
        mixed = tf.add_n([tf.reduce_sum(tf.sin(one)) for one in gradients])
    return [*gradients, *outer.gradient(mixed, sources(layer, x))]


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_gradients_of_gradients_are_those_of_keras(form: Form, reset_after: bool) -> None:
    ours, its = pair(reset_after=reset_after)
    same(second_order(ours, form, X), second_order(its, form, X))


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_gradients_of_gradients_in_a_graph(jit_compile: bool) -> None:
    ours, its = pair()
    graph = tf.function(lambda x: second_order(ours, chained, x), jit_compile=jit_compile)
    same(graph(X), second_order(its, chained, X))


def oracle_gradient(x: NDArray[Any]) -> NDArray[Any]:
    """Gradient of the sum of squares of the layer's outputs over its own outputs, by the inputs."""
    kernel, recurrent_kernel, bias = WEIGHTS
    settings, zeros = gru_numpy.Settings(), np.zeros((BATCH, UNITS))
    first = gru_numpy.forward(x, zeros, kernel, recurrent_kernel, bias, None, settings)
    last = gru_numpy.forward(first.outputs, zeros, kernel, recurrent_kernel, bias, None, settings)
    weights = (kernel, recurrent_kernel, bias, settings)
    between = gru_numpy.backward(last, 2 * last.outputs, zeros, first.outputs, *weights)["x"]
    return gru_numpy.backward(first, between, zeros, x, *weights)["x"]


def test_a_hessian_times_a_vector_is_a_difference_of_the_oracles_gradients() -> None:
    layer, vector = made(GRU), RNG.normal(size=X.shape)
    with tf.GradientTape() as outer:
        outer.watch(X)
        with tf.GradientTape() as inner:
            inner.watch(X)
            loss = tf.reduce_sum(chained(layer, X) ** 2)
        gradient = inner.gradient(loss, X)
    found = outer.gradient(gradient, X, output_gradients=tf.constant(vector))
    np.testing.assert_allclose(gradient, oracle_gradient(X.numpy()), atol=1e-10)
    step = 1e-5
    difference = (oracle_gradient(X.numpy() + step * vector) - oracle_gradient(X.numpy() - step * vector)) / (2 * step)
    np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-6 * np.abs(difference).max())


@pytest.mark.parametrize(
    ("form", "arguments"),
    [
        (once, {"reset_after": False}),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((masked, {}), (once, {"unroll": True}))),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_jacobians_of_what_ran_at_once(form: Form, arguments: dict[str, Any]) -> None:
    found = []
    for layer in pair(**arguments):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(X)
            output = form(layer, X)
            sums = tf.reduce_sum(output**2, axis=1)
        found.append([tape.jacobian(sums, sources(layer, X)), tape.batch_jacobian(output, X)])
    same(*found)


@pytest.mark.slow
def test_a_hessian_is_a_jacobian_of_gradients() -> None:
    layer = made(GRU)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(X)
        with tf.GradientTape() as inner:
            inner.watch(X)
            loss = tf.reduce_sum(once(layer, X) ** 2)
        gradient = inner.gradient(loss, X)
    one_by_one = outer.jacobian(gradient, X, experimental_use_pfor=False)
    same(outer.jacobian(gradient, X), one_by_one)
    same(tf.function(lambda x: tf.hessians(tf.reduce_sum(once(layer, x) ** 2), x))(X), one_by_one)


def test_what_ran_at_once_is_differentiated_in_a_graph() -> None:
    layer = made(GRU)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(X)
        loss = tf.reduce_sum(chained(layer, X) ** 2)
    expected = tape.gradient(loss, sources(layer, X))
    same(tf.function(lambda: tape.gradient(loss, sources(layer, X)))(), expected)


def test_a_graph_is_differentiated_from_outside_and_a_branch_from_inside() -> None:
    layer, its = pair()
    branch = tf.function(lambda x: tf.cond(tf.reduce_sum(x) < 1e9, lambda: chained(layer, x), lambda: x))
    found = []
    for one, run in ((layer, branch), (its, lambda x: chained(its, x))):
        with tf.GradientTape() as tape:
            tape.watch(X)
            loss = tf.reduce_sum(run(X) ** 2)
        found.append(tape.gradient(loss, sources(one, X)))
    same(*found)


def test_forward_accumulation_alone_and_over_a_backward_pass() -> None:
    found = []
    for layer in pair():
        with tf.autodiff.ForwardAccumulator(X, tf.cos(X)) as forward:
            with tf.GradientTape() as tape:
                tape.watch(X)
                output = chained(layer, X)
                loss = tf.reduce_sum(output**2)
            gradients = tape.gradient(loss, sources(layer, X))
        found.append([forward.jvp(output), *(forward.jvp(one) for one in gradients)])
    same(*found)


def test_a_vectorized_map_of_gradients_is_a_loop_of_them() -> None:
    layer = made(GRU)

    def gradient(row: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(row)
            loss = tf.reduce_sum(once(layer, tf.stack([row, 2 * row])) ** 2)
        return tape.gradient(loss, row)

    same(tf.vectorized_map(gradient, X), tf.stack([gradient(row) for row in X]))


def test_a_recomputed_pass_has_the_same_gradients() -> None:
    layer = made(GRU, return_state=True)
    again = tf.recompute_grad(lambda x: layer(x, training=True))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(X)
        found, expected = (tf.reduce_sum(output**2) + tf.reduce_sum(state) for output, state in (again(X), layer(X, training=True)))
    same(tape.gradient(found, sources(layer, X)), tape.gradient(expected, sources(layer, X)))
