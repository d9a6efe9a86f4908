"""Whatever the arguments, the Keras GRU gives the numbers and the gradients of the oracle and of tf-keras."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray
from oracles.gru_cases import Case, cases
from oracles.gru_numpy import ACTIVATIONS

from framework.backends.tensorflow import GRU
from framework.backends.tensorflow.gru import layer as gru_layer

pytestmark = pytest.mark.tensorflow

BOUNDS = {"float64": (1e-10, 1e-10), "float32": (2e-6, 1e-4), "bfloat16": (3e-2, 1.5e-1)}
"""Largest deviation allowed: of outputs, absolute (relative where they exceed 1); of gradients, relative to the largest of the same weight
(of all weights for bfloat16, where h - n of one small weight may be nothing but rounding)."""

MARGINS = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 5e-2}
"""How far the oracle's activations must stay from a kink, where rounding decides the derivative."""

SHARED = tuple(name for name in ACTIVATIONS if name not in ("hard_sigmoid", "hard_sigmoid_tf2", "leaky_relu", "relu6", "silu", "hard_tanh"))
"""Activations that tf-keras has under the same name with the same meaning."""

ALL = (*ACTIVATIONS, None)
DOUBLE = tuple(name for name in ALL if name != "leaky_relu")
"""TensorFlow keeps the slope of its leaky_relu as a float32 number."""

SMOOTH = ("sigmoid", "softsign", "hard_sigmoid")

FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
FEWER = settings(FEW, max_examples=8)
MANY = settings(FEW, max_examples=2000)

Found = tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]


def run(layer: Any, case: Case, dtype: str, **call: Any) -> Found:
    """Outputs and gradients of a built layer, ours or tf-keras', with the batch first."""
    time_major = case.arguments["time_major"]
    layer.set_weights(case.weights)
    x = tf.constant(np.swapaxes(case.x, 0, 1) if time_major else case.x, dtype)
    h0 = None if case.h0 is None else tf.constant(case.h0, dtype)
    mask = None if case.mask is None else tf.constant(case.mask.T if time_major else case.mask)
    weights = [getattr(weight, "value", weight) if isinstance(layer, GRU) else weight for weight in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x] if h0 is None else [x, h0])
        results = layer(x, mask=mask, initial_state=h0, **call)
        output, *rest = results if case.arguments["return_state"] else [results]
        if time_major and case.arguments["return_sequences"]:
            output = tf.transpose(output, (1, 0, 2))
        loss = tf.reduce_sum(tf.cast(output, tf.float64) * case.d_output)
        if rest:
            loss += tf.reduce_sum(tf.cast(rest[0], tf.float64) * case.d_state)
    sources = {"x": x, **({} if h0 is None else {"h0": h0}), **dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=False))}
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    found = {name: tf.cast(one, tf.float64).numpy() for name, one in gradients.items()}
    if time_major:
        found["x"] = np.swapaxes(found["x"], 0, 1)
    outputs = {"output": output, **({"state": rest[0]} if rest else {})}
    return {name: tf.cast(one, tf.float64).numpy() for name, one in outputs.items()}, found


def ours(case: Case, dtype: str, **arguments: Any) -> GRU:
    layer = GRU(**case.arguments, dtype=dtype, input_dim=case.x.shape[2], **arguments)
    layer.set_dropout_masks(case.input_masks, case.recurrent_masks)
    return layer


def deviations(found: Found, expected: Found, one_scale: bool = False) -> tuple[float, float]:
    """Largest deviation of the outputs and of the gradients, scaled as :data:`BOUNDS` says."""

    def largest(part: int, least: float) -> float:
        scales = {name: max(least, float(np.abs(value).max())) for name, value in expected[part].items()}
        # NumPy's maximum keeps a NaN, Python's may lose it.
        return float(np.max([0.0, *(np.abs(value - expected[part][name]).max() / scales[name] for name, value in found[part].items())]))

    # A gradient that is nothing but rounding, such as a bias' that cancels out, has no scale of its own: hence the least one.
    scale = max([1e-3, *(float(np.abs(value).max()) for value in expected[1].values() if one_scale)])
    return largest(0, 1.0), largest(1, scale)


def check(found: Found, expected: Found, dtype: str) -> tuple[float, float]:
    deviation = deviations(found, expected, one_scale=dtype == "bfloat16")
    assert deviation[0] <= BOUNDS[dtype][0], f"outputs deviate by {deviation[0]:.2e}"
    assert deviation[1] <= BOUNDS[dtype][1], f"gradients deviate by {deviation[1]:.2e}"
    return deviation


def check_oracle(case: Case, dtype: str) -> tuple[float, float]:
    outputs, gradients, margin = case.expected()
    assume(margin > MARGINS[dtype])
    assume(all(np.abs(value).max() < 50 for value in outputs.values()))
    if dtype == "float32":  # unbounded activations may multiply any rounding: such a case says nothing of the layer
        rounded = replace(case, x=case.x * (1 + 2.0**-24)).expected()
        assume(deviations((rounded[0], {}), (outputs, {}))[0] < BOUNDS[dtype][0] / 10)
        assume(case.largest_candidate() < 1e3)
        assume(deviations(({}, rounded[1]), ({}, gradients))[1] < BOUNDS[dtype][1] / 10)
    layer = ours(case, dtype)
    deviation = check(run(layer, case, dtype, training=True), (outputs, gradients), dtype)
    if case.input_masks or case.recurrent_masks:
        return deviation
    # Inference takes the loop that TensorFlow differentiates, training the scan.
    return max(deviation, check(run(layer, case, dtype, training=False), (outputs, gradients), dtype))


def check_tf_keras(case: Case) -> tuple[float, float]:
    theirs = tf_keras.layers.GRU(**case.arguments, dtype="float64")
    theirs.build(np.swapaxes(case.x, 0, 1).shape if case.arguments["time_major"] else case.x.shape)
    expected = run(theirs, case, "float64")
    assume(all(np.abs(value).max() < 50 for value in expected[0].values()))
    assume(all(np.isfinite(value).all() for value in expected[1].values()))  # tf-keras' masked steps may overflow
    return check(run(ours(case, "float64"), case, "float64"), expected, "float64")


@given(case=cases(DOUBLE))
@FEW
def test_float64_is_the_oracle(case: Case) -> None:
    check_oracle(case, "float64")


@given(case=cases(ALL, single=True))
@FEW
def test_float32_is_the_oracle(case: Case) -> None:
    check_oracle(case, "float32")


@given(case=cases(SMOOTH))
@FEWER
def test_bfloat16_is_near_the_oracle(case: Case) -> None:
    check_oracle(case, "bfloat16")


@given(case=cases(SHARED, dropout=False))
@FEWER
def test_float64_is_tf_keras(case: Case) -> None:
    check_tf_keras(case)


@pytest.mark.slow
@pytest.mark.parametrize("against", ["float64", "float32", "bfloat16", "tf-keras"])
def test_two_thousand_cases(against: str, capsys: pytest.CaptureFixture[str]) -> None:
    largest, combinations = [0.0, 0.0], set()
    strategies = {
        "float64": cases(DOUBLE),
        "float32": cases(ALL, single=True),
        "bfloat16": cases(SMOOTH),
        "tf-keras": cases(SHARED, dropout=False),
    }

    @given(case=strategies[against])
    @MANY
    def compare(case: Case) -> None:
        deviation = check_tf_keras(case) if against == "tf-keras" else check_oracle(case, against)
        largest[:] = [max(pair) for pair in zip(largest, deviation, strict=True)]
        masked, state = case.mask is not None, case.h0 is not None
        combinations.add((*(value for name, value in case.arguments.items() if name != "units"), masked, state))

    compare()
    with capsys.disabled():
        print(f"\n{against}: {len(combinations)} combinations; outputs deviate by {largest[0]:.2e}, gradients by {largest[1]:.2e}")


MASK = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("time_major", "go_backwards", "reset_after", "use_bias", "implementation"),
    list(itertools.product([False, True], [False, True], [False, True], [False, True], [1, 2])),
)
def test_every_combination_is_tf_keras(
    time_major: bool, go_backwards: bool, reset_after: bool, use_bias: bool, implementation: int
) -> None:
    arguments = {
        "time_major": time_major, "go_backwards": go_backwards, "reset_after": reset_after, "use_bias": use_bias,
        "implementation": implementation,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    x, h0 = rng.normal(size=(3, 4, 2)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32)
    x, mask = (np.swapaxes(x, 0, 1), MASK.T) if time_major else (x, MASK)
    layer, theirs = GRU(5, **arguments), tf_keras.layers.GRU(5, return_state=True, **arguments)
    layer.build(x.shape)
    theirs.build(x.shape)
    weights = [rng.normal(size=weight.shape) for weight in theirs.get_weights()]
    layer.set_weights(weights)
    theirs.set_weights(weights)
    for given_mask, sequences in itertools.product((None, mask), (False, True)):
        # These are read anew in each call by both layers.
        theirs.return_sequences = layer.return_sequences = sequences
        masked = None if given_mask is None else tf.constant(given_mask)
        output, state = theirs(x, mask=masked, initial_state=tf.constant(h0))
        layer.return_state = True
        found = layer(x, mask=given_mask, initial_state=h0)
        assert isinstance(found, list)
        np.testing.assert_allclose(found[0], output, atol=2e-6)
        np.testing.assert_allclose(found[1], state, atol=2e-6)
        layer.return_state = False
        np.testing.assert_array_equal(layer(x, mask=given_mask, initial_state=h0), found[0])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("function", ["softmax", lambda x: x / tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)], ids=["softmax", "own"])
def test_a_function_of_a_whole_gate_sees_one_gate(function: Any, reset_after: bool) -> None:
    rng = np.random.default_rng(7)
    x = tf.constant(rng.normal(size=(3, 4, 2)))
    arguments = {"recurrent_activation": function, "activation": function, "reset_after": reset_after, "dtype": "float64"}
    layer, theirs = GRU(3, **arguments), tf_keras.layers.GRU(3, **arguments)
    expected = theirs(x)
    layer.build(x.shape)
    layer.set_weights(theirs.get_weights())
    for training in (False, True):
        np.testing.assert_allclose(layer(x, training=training), expected, atol=1e-12)
    np.testing.assert_allclose(layer.step(x[:, 0], tf.zeros((3, 3), tf.float64))[0], theirs(x[:, :1]), atol=1e-12)


@pytest.mark.parametrize(("unroll", "jit_compile"), [(False, False), (False, True), (True, False)])
def test_graphs_give_what_running_at_once_gives(unroll: bool, jit_compile: bool) -> None:
    rng = np.random.default_rng(1)
    x, mask = tf.constant(rng.normal(size=(3, 4, 2))), tf.constant(MASK)
    layer = GRU(3, unroll=unroll, return_sequences=True, recurrent_activation="hard_sigmoid", dtype="float64", batch_shape=(3, 4, 2))

    def step(x: tf.Tensor, training: bool) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=mask, training=training)
            loss = tf.reduce_sum(output**2)
        return [output, *tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_variables)])]

    expected = step(x, True)
    graph = tf.function(step, jit_compile=jit_compile)
    for training in (True, False):
        for ours, its in zip(graph(x, training), expected, strict=True):
            np.testing.assert_allclose(ours, its, atol=1e-12)


@pytest.mark.parametrize("reset_after", [False, True])
def test_many_rows_are_few_rows_several_times(reset_after: bool) -> None:
    rng = np.random.default_rng(6)
    x, mask = rng.normal(size=(9, 4, 2)), np.tile(MASK, (3, 1))
    layer = GRU(3, input_dim=2, dtype="float64", return_sequences=True, reset_after=reset_after, bias_initializer="normal")
    few = [layer(x[rows : rows + 3], mask=mask[rows : rows + 3]) for rows in (0, 3, 6)]
    np.testing.assert_allclose(layer(x, mask=mask), np.concatenate(few), atol=1e-12)


def test_derivatives_of_derivatives() -> None:
    layer = GRU(3, input_dim=2, dtype="float64", return_sequences=True)
    x = tf.constant(np.random.default_rng(5).normal(size=(2, 4, 2)))

    def second(training: bool) -> NDArray[Any]:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x, training=training) ** 2)
            squared = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(squared, x).numpy()

    np.testing.assert_allclose(second(True), second(False), atol=1e-12)


def test_which_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    for name in ("scan", "loop"):
        real = getattr(gru_layer, name)
        monkeypatch.setattr(gru_layer, name, lambda *call, name=name, real=real: chosen.append(name) or real(*call))
    x = np.zeros((2, 3, 2), np.float32)
    layer = GRU(3, input_dim=2)
    layer(x, training=True), layer(x), layer(x, training=False), layer(x[:1, :2], training=True)
    GRU(3, activation=tf.sin)(x, training=True), GRU(3, recurrent_activation="silu")(x, training=True)
    GRU(3, activation="relu", reset_after=False, recurrent_dropout=0.5, recurrent_activation="hard_sigmoid_tf2")(x, training=True)
    assert chosen == ["scan", "loop", "loop", "loop", "loop", "loop", "scan"]


def test_lengths_may_vary_within_one_graph() -> None:
    layer = GRU(3, input_dim=2, dtype="float64")
    layer.set_weights([weight * 3 for weight in layer.get_weights()])

    @tf.function(input_signature=[tf.TensorSpec((None, None, 2), tf.float64), tf.TensorSpec((None, None), tf.bool)])
    def graph(x: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=mask, training=True)
        return [output, tape.gradient(output, x)]

    rng = np.random.default_rng(2)
    for batch, time in ((2, 3), (1, 5)):
        x = tf.constant(rng.normal(size=(batch, time, 2)))
        mask = tf.constant(rng.random((batch, time)) < 0.7)
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=mask)
        found = graph(x, mask)
        np.testing.assert_allclose(found[0], output, atol=1e-12)
        np.testing.assert_allclose(found[1], tape.gradient(output, x), atol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError, match="different numbers of time steps"):
        graph(x, mask[:, :2])


def test_what_masked_inputs_hold_does_not_matter() -> None:
    layer = GRU(4, input_dim=2, return_sequences=True)
    x = tf.constant(np.random.default_rng(3).normal(size=(3, 4, 2)), tf.float32)
    dirty = tf.where(MASK[:, :, None], x, np.nan)
    with tf.GradientTape() as tape:
        output = layer(dirty, mask=MASK)
    np.testing.assert_array_equal(output, layer(x, mask=MASK))
    gradients = tape.gradient(output, [weight.value for weight in layer.trainable_variables])
    assert all(np.isfinite(one).all() for one in gradients)


def test_what_masked_steps_would_compute_does_not_matter() -> None:
    layer = GRU(2, "exponential", "exponential", input_dim=1, dtype="float64", kernel_initializer="ones", recurrent_initializer="ones")
    x, mask = np.full((1, 6, 1), 1.0), np.array([[True, True, False, False, False, False]])
    for training in (True, False):
        with tf.GradientTape() as tape:
            output = layer(x, mask=mask, training=training)
        gradients = tape.gradient(output, [weight.value for weight in layer.trainable_variables])
        assert np.isfinite(output).all() and all(np.isfinite(one).all() for one in gradients)


def test_one_step_is_the_layer_over_one_step() -> None:
    rng = np.random.default_rng(4)
    x, state = rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    for arguments in ({}, {"reset_after": False}, {"use_bias": False, "time_major": True}, {"activation": tf.sin}):
        layer = GRU(4, **arguments)
        output, after = layer.step(x, [state])
        expected = layer(x[None] if layer.time_major else x[:, None], initial_state=state)
        np.testing.assert_allclose(output, expected, atol=1e-6)
        np.testing.assert_array_equal(output, after)
