"""Keras' and TensorFlow's own ways out of a model take our layers as they take ``keras.layers.GRU``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from attention_models import DECODERS, sentences, translation
from small_models import Workshop

from framework.backends.tensorflow import GRU

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
Run = Callable[[Any], Any]


def exported(model: keras.Model, folder: Path) -> Run:
    model.export(folder / "exported", verbose=False)
    loaded = tf.saved_model.load(folder / "exported")
    return lambda inputs: loaded.serve(inputs)


def saved(model: keras.Model, folder: Path) -> Run:
    tf.saved_model.save(model, folder / "saved")
    loaded = tf.saved_model.load(folder / "saved")
    [name] = loaded.signatures["serving_default"].structured_input_signature[1]
    return lambda inputs: list(loaded.signatures["serving_default"](**{name: tf.constant(inputs)}).values())


def by_keras_to_onnx(model: keras.Model, folder: Path) -> Run:
    pytest.importorskip("tf2onnx")
    model(tf.nest.map_structure(lambda one: tf.zeros([size or 2 for size in one.shape], one.dtype), model.input))
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    model.export(folder / "model.onnx", format="onnx", opset_version=18, verbose=False)
    return in_onnxruntime(folder / "model.onnx")


def by_tf2onnx(model: keras.Model, folder: Path) -> Run:
    tf2onnx = pytest.importorskip("tf2onnx")
    tf2onnx.convert.from_keras(model, opset=18, output_path=str(folder / "model.onnx"))
    return in_onnxruntime(folder / "model.onnx")


def in_onnxruntime(file: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file))
    names = [one.name for one in session.get_inputs()]
    return lambda inputs: session.run(None, {name: inputs[name] if isinstance(inputs, dict) else inputs for name in names})


def to_tflite(model: keras.Model, folder: Path) -> Run:
    """With TFLite's own operations alone, which a layer that is written out needs."""
    model.export(folder / "exported", verbose=False)
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_saved_model(str(folder / "exported")).convert())
    runner = interpreter.get_signature_runner()
    [name] = runner.get_input_details()
    return lambda inputs: list(runner(**{name: inputs}).values())


def by_keras_to_litert(model: keras.Model, folder: Path) -> Run:
    """Keras asks for TensorFlow's operations beside TFLite's; a loop, Keras' own as ours, then runs only where those are linked."""
    model.export(folder / "model.tflite", format="litert", verbose=False)
    runner = tf.lite.Interpreter(model_path=str(folder / "model.tflite")).get_signature_runner()
    [name] = runner.get_input_details()
    return lambda inputs: list(runner(**{name: inputs}).values())


WAYS: dict[str, Callable[[keras.Model, Path], Run]] = {
    one.__name__: one for one in (exported, saved, by_keras_to_onnx, by_tf2onnx, to_tflite, by_keras_to_litert)
}
LAYERS: dict[str, dict[str, Any]] = {
    "masked": {"return_sequences": True, "masked": True},
    "last, reset before": {"reset_after": False},
    "backwards, all states": {"return_sequences": True, "go_backwards": True, "return_state": True},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.3, "return_sequences": True},
    "stateful": {"stateful": True, "return_sequences": True},
    "written out": {"unroll": True, "return_sequences": True},
    "written out, masked": {"unroll": True, "masked": True},
    "both ways": {"return_sequences": True, "both": True},
}
FAST = {("by_keras_to_onnx", "masked"), ("exported", "backwards, all states")}
CASES = [
    pytest.param(way, name, marks=[] if (way, name) in FAST else pytest.mark.slow)
    for way in WAYS
    for name in LAYERS
    if way not in ("to_tflite", "by_keras_to_litert") or "written out" in name
]


def model_of(kind: Any, masked: bool = False, both: bool = False, **arguments: Any) -> keras.Model:
    inputs = keras.Input((4 if arguments.get("unroll") else None, 3), 2 if arguments.get("stateful") else None, name="x")
    layer = kind(5, bias_initializer="normal", **arguments)
    return keras.Model(inputs, (keras.layers.Bidirectional(layer) if both else layer)(keras.layers.Masking()(inputs) if masked else inputs))


@pytest.mark.parametrize(("way", "name"), CASES)
def test_a_layer_goes_the_way_of_keras_own(way: str, name: str, tmp_path: Path) -> None:
    arguments = LAYERS[name]
    keras.utils.set_random_seed(1)
    ours, theirs = model_of(GRU, **arguments), model_of(keras.layers.GRU, **arguments)
    theirs.set_weights(ours.get_weights())
    run = WAYS[way](ours, tmp_path)
    other = (2 if arguments.get("stateful") else 3, 4 if arguments.get("unroll") or arguments.get("stateful") else 6)
    for rows, steps in {(2, 4), other}:
        x = RNG.normal(size=(rows, steps, 3)).astype(np.float32)
        x[0, 1] = 0.0
        expected = sorted((np.asarray(one) for one in tf.nest.flatten(theirs(x))), key=np.ndim)
        found = sorted((np.asarray(one) for one in tf.nest.flatten(run(x))), key=np.ndim)
        assert [one.shape for one in found] == [one.shape for one in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["exported", "by_keras_to_onnx"])
@pytest.mark.parametrize("decoder", ["the tutorial's", "vector fed", "after two cells"])
def test_a_built_model_goes_out_whole(decoder: str, way: str, tmp_path: Path) -> None:
    model = Workshop("tensorflow").trainee(translation(DECODERS[decoder])).native
    run, given = WAYS[way](model, tmp_path), sentences()
    for inputs in (given, {name: np.ascontiguousarray(value[:2, :3]) for name, value in given.items()}):
        [found] = tf.nest.flatten(run(inputs))
        np.testing.assert_allclose(found, model(inputs), rtol=1e-4, atol=1e-5)
