"""cuDNN on TensorFlow, with the kernel replaced by one that computes the same on the CPU and refuses what cuDNN refuses."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from framework.backends.tensorflow import GRU
from framework.backends.tensorflow.gru.compaction import Compaction

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 3)).astype(np.float32)
H0 = RNG.normal(size=(4, 6)).astype(np.float32)
MASKS = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
"""Right, left and middle padding, and a row without a valid step, at which Keras' own layer fails on a GPU."""


class Kernel:
    """``CudnnRNNV3`` for a GRU in plain operations: cuDNN's order of weights, zeros behind each length, no empty rows."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self,
        input: tf.Tensor,
        input_h: tf.Tensor,
        input_c: tf.Tensor,
        params: tf.Tensor,
        sequence_lengths: tf.Tensor,
        rnn_mode: str,
        is_training: bool,
        time_major: bool,
    ) -> tuple[tf.Tensor, ...]:
        assert (rnn_mode, is_training, time_major) == ("gru", True, True)
        self.calls += 1
        check = tf.debugging.assert_positive(sequence_lengths, "CUDNN_STATUS_BAD_PARAM")
        features, units = input.shape[2], input_h.shape[2]
        sizes = [units * features] * 3 + [units * units] * 3 + [units] * 6
        w_r, w_z, w_n, u_r, u_z, u_n, *biases = tf.split(params, sizes)
        b_r, b_z, b_n, c_r, c_z, c_n = biases

        def product(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
            return tf.matmul(x, tf.reshape(weight, (units, -1)), transpose_b=True)

        h, outputs = input_h[0], []
        with tf.control_dependencies([] if check is None else [check]):
            steps = tf.unstack(tf.identity(input))
        for time, x in enumerate(steps):
            r = tf.sigmoid(product(x, w_r) + b_r + product(h, u_r) + c_r)
            z = tf.sigmoid(product(x, w_z) + b_z + product(h, u_z) + c_z)
            n = tf.tanh(product(x, w_n) + b_n + r * (product(h, u_n) + c_n))
            runs = (time < sequence_lengths)[:, None]
            h = tf.where(runs, (1 - z) * n + z * h, h)
            outputs.append(tf.where(runs, h, tf.zeros_like(h)))
        return tf.stack(outputs), h[None], input_c, input_c, input_c


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A machine with a GPU, as far as the layer can tell."""
    fake = Kernel()
    real = tf.config.list_logical_devices
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", fake)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["GPU:0"] if kind == "GPU" else real(kind))
    return fake


def gradients(layer: GRU, x: np.ndarray, **call: Any) -> list[tf.Tensor]:
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        results = layer(x, **call)
        loss = sum(tf.reduce_sum(tf.sin(one)) for one in results)
    return [*results, *tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_variables)])]


LIFTED = ("use_bias", "unroll", "go_backwards", "time_major", "zero_output_for_mask")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", [None, *LIFTED])
def test_what_is_lifted_gives_the_same_numbers_on_cudnn(kernel: Kernel, name: str | None, masked: bool) -> None:
    values = {} if name is None else {name: name != "use_bias"}
    arguments: dict[str, Any] = {"return_sequences": True, "return_state": True, "bias_initializer": "normal", **values}
    x, mask = (np.swapaxes(X, 0, 1), MASKS.T) if name == "time_major" else (X, MASKS)
    call = {"mask": mask if masked else None, "initial_state": H0}
    layer = GRU(6, use_cudnn=True, batch_input_shape=x.shape, **arguments)
    plain = GRU(6, use_cudnn=False, batch_input_shape=x.shape, weights=layer.get_weights(), **arguments)
    found, expected = gradients(layer, x, **call), gradients(plain, x, **call)
    assert kernel.calls == 1, "only one of the two is to run on cuDNN"
    for ours, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, its, rtol=0, atol=2e-6 * max(1.0, float(np.abs(its).max())))


def test_input_dropout_is_lifted(kernel: Kernel) -> None:
    layer = GRU(6, dropout=0.5, input_dim=3, seed=1)
    mask = layer.get_dropout_mask_for_cell(X, training=True)
    found = layer(X, training=True)
    assert kernel.calls == 1
    plain = GRU(6, use_cudnn=False, input_dim=3, weights=layer.get_weights())
    np.testing.assert_allclose(found, plain(X * mask[:, None]), atol=2e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"activation": "relu"}, {"recurrent_activation": "hard_sigmoid"}, {"recurrent_dropout": 0.1}, {"reset_after": False},
        {"implementation": 1, "dropout": 0.1}, {"use_cudnn": False}, {"activation": lambda x: tf.tanh(x)},
    ],
    ids=lambda arguments: ", ".join(arguments),
)  # fmt: skip
def test_what_cannot_be_lifted_runs_elsewhere_and_says_so_once(
    kernel: Kernel, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    layer = GRU(6, name="slow", **arguments)
    assert layer.supports_jit
    with caplog.at_level(logging.WARNING, "framework"):
        layer(X, training=True), layer(X)
    assert kernel.calls == 0
    said = [record.getMessage() for record in caplog.records]
    if "use_cudnn" in arguments:
        assert not said
    else:
        assert len(said) == 1 and said[0].startswith("GRU 'slow' does not run on cuDNN: ") and next(iter(arguments)) in said[0]


def test_the_same_functions_by_other_names_stay_on_cudnn(kernel: Kernel) -> None:
    layer = GRU(6, activation=tf.nn.tanh, recurrent_activation=keras.ops.sigmoid, use_cudnn=True)
    assert not layer.supports_jit, "XLA has no cuDNN kernel"
    layer(X)
    assert kernel.calls == 1


def test_no_mask_fails_in_fit(kernel: Kernel) -> None:
    x, y = np.where(MASKS[:, :, None], X, 0.0).astype(np.float32), np.ones((4, 1), np.float32)
    inputs = keras.Input((5, 3))
    layer = GRU(6, use_cudnn=True)
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(keras.layers.Masking()(inputs))))
    plain = GRU(6, use_cudnn=False, weights=layer.get_weights(), input_dim=3)
    with tf.GradientTape() as tape:
        error = tf.reduce_mean((model.layers[-1](plain(x, mask=MASKS)) - y) ** 2)
    expected = [
        weight - 0.1 * gradient
        for weight, gradient in zip(
            plain.get_weights(), tape.gradient(error, [weight.value for weight in plain.trainable_variables]), strict=True
        )
    ]
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.fit(x, y, verbose=0)
    assert kernel.calls
    for ours, its in zip(layer.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, its, atol=1e-6)


def test_xla_graphs_do_without_cudnn(kernel: Kernel) -> None:
    layer = GRU(6, input_dim=3)
    expected = layer(X)
    np.testing.assert_allclose(tf.function(lambda x: layer(x), jit_compile=True)(X), expected, atol=2e-6)
    assert kernel.calls == 1


def test_compaction_of_every_mask_of_four_steps() -> None:
    masks = np.array(list(itertools.product([False, True], repeat=4))).T
    sequence = np.arange(4 * 16, dtype=np.float32).reshape(4, 16, 1)
    compaction = Compaction.of(tf.constant(masks))
    compacted = compaction.compact(tf.constant(sequence)).numpy()
    first = np.full((16, 1), -1.0, np.float32)
    spread = compaction.spread(tf.constant(compacted), first).numpy()
    for row in range(16):
        valid = masks[:, row]
        count = int(valid.sum())
        assert compaction.lengths[row] == max(count, 1)
        np.testing.assert_array_equal(compacted[:count, row], sequence[valid, row])
        held = first[row]
        for time in range(4):
            held = sequence[time, row] if valid[time] else held
            np.testing.assert_array_equal(spread[time, row], held)
