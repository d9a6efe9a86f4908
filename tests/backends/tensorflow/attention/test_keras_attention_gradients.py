"""The decoder's hand-written backward pass against TensorFlow's own derivatives of the plain loop, and layers as Keras keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attention_models import DECODERS, over_vectors, sentences, translation, vectors
from small_models import Workshop

pytestmark = pytest.mark.tensorflow
BY_HAND = [
    ("additive", {"dropout": 0.4, "seed": 3}),
    ("the tutorial's", {}),
    ("state not carried, reset before", {}),
    ("reset before", {"recurrent_dropout": 0.3, "seed": 3}),
    ("general", {"use_bias": False}),
]
"""Decoders that run with the backward pass written by hand, and what their cells have besides."""


def tape_of(model: Any, given: dict[str, np.ndarray], compiled: bool) -> dict[str, np.ndarray]:
    """What a model gives in training, and gradients of a sum over all of it by inputs and weights, each value with a factor of its own."""
    import tensorflow as tf

    inputs = {name: tf.constant(value, tf.float64) for name, value in given.items()}

    def run() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(list(inputs.values()))
            outputs = model(inputs, training=True)
            total = tf.zeros((), tf.float64)
            for number, value in enumerate(outputs.values()):
                total += tf.reduce_sum(value * tf.random.stateless_uniform(tf.shape(value), (1, number), dtype=tf.float64))
        weights = [weight.value for weight in model.trainable_weights]
        return outputs, tape.gradient(total, [*inputs.values(), *weights], unconnected_gradients="zero")

    outputs, gradients = (tf.function(run) if compiled else run)()
    names = [*inputs, *(weight.path for weight in model.trainable_weights)]
    return {
        **{name: value.numpy() for name, value in outputs.items()},
        **{f"d {n}": g.numpy() for n, g in zip(names, gradients, strict=True)},
    }


@pytest.mark.parametrize(
    ("name", "more"),
    [pytest.param(name, more, marks=[pytest.mark.slow] if name in ("additive", "general") else [], id=name) for name, more in BY_HAND],
)
def test_gradients_are_those_of_the_plain_loop(name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from framework.backends.tensorflow.layers import attention_decoder

    decoder = {**DECODERS[name], "cell": {**DECODERS[name]["cell"], **more}}
    found, scans = [], []
    original = attention_decoder.scan
    monkeypatch.setattr(attention_decoder, "scan", lambda *arguments: scans.append(1) or original(*arguments))
    for plain in (False, True):
        if plain:
            monkeypatch.setattr(attention_decoder, "scannable", lambda cell: False)
        trainee = Workshop("tensorflow").trainee(over_vectors(decoder, 1), precision="64-true")
        found.append(tape_of(trainee.native, vectors(1), compiled=True))
    assert len(scans) == 1
    for key, value in found[0].items():
        np.testing.assert_allclose(value, found[1][key], rtol=0, atol=1e-10, err_msg=key)


def test_what_runs_at_once_gives_what_a_graph_gives() -> None:
    model = Workshop("tensorflow").trainee(over_vectors(DECODERS["additive"], 1), precision="64-true").native
    one, other = (tape_of(model, vectors(1), compiled) for compiled in (False, True))
    for key, value in one.items():
        np.testing.assert_allclose(value, other[key], rtol=0, atol=1e-12, err_msg=key)


def test_second_derivatives_are_those_of_the_plain_loop() -> None:
    """The backward pass is made of plain operations and is differentiated as it stands; without training, the layer is the loop."""
    import tensorflow as tf

    model = Workshop("tensorflow").trainee(over_vectors(DECODERS["additive"], 1), precision="64-true").native
    inputs = {name: tf.constant(value, tf.float64) for name, value in vectors(1).items()}
    found = []
    for training in (True, False):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                total = sum(tf.reduce_sum(value * value) for value in model(inputs, training=training).values())
            first = inner.gradient(total, model.trainable_weights, unconnected_gradients="zero")
            penalty = sum(tf.reduce_sum(one * one) for one in first)
        found.append(outer.gradient(penalty, model.trainable_weights, unconnected_gradients="zero"))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["the tutorial's", "vector fed", "after two cells"])
def test_a_saved_model_is_the_same_model(name: str, tmp_path: Path) -> None:
    import keras

    model, given = Workshop("tensorflow").trainee(translation(DECODERS[name])).native, sentences()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again.predict(given, verbose=0), model.predict(given, verbose=0))
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
