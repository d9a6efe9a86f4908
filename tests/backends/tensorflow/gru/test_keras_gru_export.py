"""The Keras GRU as a SavedModel with a training signature, as a TFLite model, and in graphs that know no shape."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from framework.backends.tensorflow import GRU

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 2)).astype(np.float32)
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
STATE = RNG.normal(size=(3, 5)).astype(np.float32)


class Trained(tf.Module):
    """A layer with a signature that trains it, and one that only runs it as in training."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        layer.build(X.shape)
        self.layer = layer
        self.kept = [weight.value for weight in layer.trainable_variables]
        signature = [tf.TensorSpec((3 if layer.unroll else None, 4 if layer.unroll else None, 2), tf.float32)]
        self.train = tf.function(self._train, input_signature=signature)
        self.forward = tf.function(lambda x: {"y": layer(x, training=True)}, input_signature=signature)

    def _train(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.layer(x, training=True) ** 2)
        for weight, gradient in zip(self.kept, tape.gradient(loss, self.kept), strict=True):
            weight.assign_sub(0.05 * gradient)
        return {"loss": loss}

    def losses(self) -> list[float]:
        return [float(self.train(tf.constant(X))["loss"]) for _ in range(3)]


@pytest.mark.parametrize(
    "arguments", [{}, *(pytest.param(one, marks=pytest.mark.slow) for one in ({"reset_after": False}, {"unroll": True}))], ids=str
)
def test_a_saved_model_trains_and_is_differentiated(arguments: dict[str, Any], tmp_path: Path) -> None:
    module = Trained(GRU(5, return_sequences=True, **arguments))
    tf.saved_model.save(module, tmp_path, signatures={"train": module.train, "forward": module.forward})
    loaded = tf.saved_model.load(tmp_path)
    gradients = []
    for forward, weights in ((loaded.forward, loaded.kept), (module.forward, module.kept)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(forward(tf.constant(X))["y"]))
        gradients.append(tape.gradient(loss, weights))
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    train = loaded.signatures["train"]
    plain = Trained(keras.layers.GRU(5, return_sequences=True, **arguments))
    plain.layer.set_weights(module.layer.get_weights())
    expected_losses = plain.losses()
    assert expected_losses[2] < expected_losses[0]
    np.testing.assert_allclose([float(train(tf.constant(X))["loss"]) for _ in range(3)], expected_losses, rtol=1e-5)
    np.testing.assert_allclose(module.losses(), expected_losses, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"return_sequences": True, "reset_after": False, "go_backwards": True},
        *(pytest.param(one, marks=pytest.mark.slow) for one in ({}, {"training": True, "masked": True})),
    ],
    ids=str,
)
def test_an_unrolled_layer_is_converted_for_tflite(arguments: dict[str, Any], tmp_path: Path) -> None:
    training, masked = arguments.get("training", False), arguments.get("masked", False)
    own = {name: value for name, value in arguments.items() if name not in ("training", "masked")}
    inputs = keras.Input((4, 2))
    layer = GRU(5, unroll=True, bias_initializer="normal", **own)
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs) if masked else inputs, training=training))
    model.export(tmp_path, verbose=False)
    x = X[:1].copy()
    x[0, 1] = 0.0  # what the masking layer leaves out
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, model(x), atol=1e-6)


@pytest.mark.parametrize(
    "arguments", [{}, {"time_major": True, "reset_after": False}, {"go_backwards": True, "activation": "gelu"}], ids=str
)
def test_graphs_without_shapes_give_what_running_at_once_gives(arguments: dict[str, Any]) -> None:
    time_major = arguments.get("time_major", False)
    layer = GRU(5, return_sequences=True, return_state=True, bias_initializer="normal", input_dim=2, **arguments)
    x, mask = (np.swapaxes(X, 0, 1), MASK.T) if time_major else (X, MASK)
    shapes = {"x": (None, None, 2), "mask": (None, None), "state": (None, None)}
    for with_mask, with_state, training in itertools.product((False, True), repeat=3):
        given = {"x": x, **({"mask": mask} if with_mask else {}), **({"state": STATE} if with_state else {})}

        def call(x: Any, mask: Any = None, state: Any = None, training: bool = training) -> Any:
            return layer(x, mask=mask, initial_state=state, training=training)

        graph = tf.function(call).get_concrete_function(**{name: tf.TensorSpec(shapes[name], one.dtype) for name, one in given.items()})
        found = graph(**{name: tf.constant(one) for name, one in given.items()})
        for ours, expected in zip(found, call(**given), strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_stateful_layer_carries_its_state_through_a_saved_model(tmp_path: Path) -> None:
    layer = GRU(5, stateful=True, batch_shape=(3, 4, 2))
    model = keras.Sequential([layer])
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((3, 4, 2), tf.float32)]
    archive.add_endpoint("train", lambda x: model(x, training=True), input_signature=signature)
    archive.write_out(tmp_path, verbose=False)
    loaded = tf.saved_model.load(tmp_path)
    for _ in range(2):
        np.testing.assert_allclose(loaded.train(X), model(X), atol=1e-6)
