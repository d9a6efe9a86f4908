"""What TensorFlow's writers write computes what the model does, for any batch and length, where Gatework cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from attention_models import DECODERS, sentences, translation
from small_models import VOCABULARY, Workshop, language_model, single_layer

from framework.backends.base.exporting import MODEL, NEXT, START, STEP, TOKENS, Decoded, Port, Signature, first_states, port_name
from framework.backends.tensorflow.exporting import tflite
from framework.backends.tensorflow.exporting.graphs import Graph, graphs_of
from framework.backends.tensorflow.gru.loop import whole_tensors
from framework.errors import UnsupportedArgument

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
TEXT = {"tokens": RNG.integers(1, VOCABULARY, (4, 6), dtype=np.int32)}
GRU = {"kind": "gru", "units": 5, "return_sequences": True}
MODELS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "text": (language_model(None), "tokens", TEXT),
    **{name: (translation(decoder), "target", sentences()) for name, decoder in DECODERS.items()},
}
FORMATS = ("saved_model", "tflite", "onnx")
OTHERS = [(name, model) for name in FORMATS for model in MODELS if model != "the tutorial's"]

FRESH = """\
import os, sys
import numpy as np
sys.modules["framework"] = None
for place, code in {codes!r}.items():
    os.chdir(place)
    own = {{"np": np}}
    exec(code, own)
    np.savez("found.npz", **own["run"]("model", **np.load("given.npz")))
"""


@dataclass
class Export:
    """What a writer wrote."""

    folder: Path
    writer: Any
    trainee: Any
    signatures: dict[str, Signature]


@pytest.fixture(scope="module")
def makes() -> Workshop:
    return Workshop("tensorflow")


@pytest.fixture(scope="module")
def tutorials(makes: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Export]:
    """The tutorial's translator in a format, written once."""
    spec, decoded, _ = MODELS["the tutorial's"]
    trainee = makes.trainee(spec)
    return cache(lambda name: written(name, trainee, Decoded(trainee, decoded), tmp_path_factory.mktemp(name)))


def exporter(name: str) -> Any:
    if name == "onnx":
        pytest.importorskip("tf2onnx")
    return import_module(f"framework.backends.tensorflow.exporting.{name}").EXPORTER


def written(name: str, trainee: Any, decoded: Decoded | None, folder: Path) -> Export:
    writer = exporter(name)
    return Export(folder, writer, trainee, {one.name: one for one in writer.write(trainee, decoded, folder).signatures})


def cut(inputs: dict[str, Any], rows: int, steps: int) -> dict[str, Any]:
    return {name: np.ascontiguousarray(value[:rows, :steps]) for name, value in inputs.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_graphs_compute_what_the_model_does(name: str, tutorials: Callable[[str], Export]) -> None:
    check(tutorials(name), "the tutorial's")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), OTHERS)
def test_graphs_of_other_models_compute_what_they_do(name: str, model: str, makes: Workshop, tmp_path: Path) -> None:
    trainee = makes.trainee(MODELS[model][0])
    check(written(name, trainee, Decoded(trainee, MODELS[model][1]), tmp_path), model)


def check(export: Export, model: str) -> None:
    """Whole sequences and steps, of two sizes."""
    _, decoded, inputs = MODELS[model]
    assert list(export.signatures) == ([MODEL, STEP] if model == "text" else [MODEL, START, STEP])
    run, stepper = export.writer.open(export.folder, export.signatures), export.trainee.stepper(decoded)
    for given in (inputs, cut(inputs, 2, 1)):
        [expected] = export.trainee.predict(given).values()
        np.testing.assert_allclose(run(MODEL, given)["output"], expected, rtol=1e-5, atol=1e-6)
        check_steps(run, export.signatures, stepper, decoded, given)


def check_steps(run: Any, signatures: dict[str, Signature], stepper: Any, decoded: str, inputs: dict[str, Any]) -> None:
    others, rows = {name: value for name, value in inputs.items() if name != decoded}, len(inputs[decoded])
    state = stepper.start(others, rows)
    held = first_states(signatures[STEP], rows) | (dict(run(START, others)) if START in signatures else {})
    for tokens in np.ascontiguousarray(inputs[decoded].T):
        logits, state, watched = stepper.step(tokens, state)
        found = run(STEP, {TOKENS: tokens, **held})
        np.testing.assert_allclose(found["logits"], logits, rtol=1e-5, atol=1e-6)
        for layer, weights in watched.items():
            np.testing.assert_allclose(found[f"{layer}_attention"], weights, rtol=1e-5, atol=1e-6)
        held |= {name.removeprefix(NEXT): value for name, value in found.items() if name.startswith(NEXT)}


@pytest.mark.slow
def test_a_fresh_process_runs_every_format_without_gatework(makes: Workshop, tutorials: Callable[[str], Export], tmp_path: Path) -> None:
    two = {name: {"dtype": "float32", "shape": [None, 4]} for name in ("x", "places")}
    layers = {"one": {**GRU, "inputs": "x"}, "two": {**GRU, "inputs": "places"}, "sum": {"kind": "add", "inputs": ["one", "two"]}}
    plain = makes.trainee({"inputs": two, "layers": layers, "outputs": {"last": "sum", "first": "one"}})
    vectors = {name: RNG.normal(size=(2, 3, 4)).astype(np.float32) for name in two}
    exports = [*((tutorials(name), sentences()) for name in FORMATS), (written("keras_model", plain, None, tmp_path), vectors)]
    for export, given in exports:
        np.savez(export.folder / "given.npz", **given)
        signature = export.signatures[MODEL]
        ports = {part: [port._asdict() for port in getattr(signature, part)] for part in ("inputs", "outputs")}
        (export.folder / "interface.json").write_text(json.dumps({"graphs": {MODEL: ports}}))
    code = FRESH.format(codes={str(export.folder): export.writer.loading for export, _ in exports})
    finished = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for export, given in exports:
        expected, found = export.trainee.predict(given), np.load(export.folder / "found.npz")
        assert set(found) == set(expected)
        for output, value in expected.items():
            np.testing.assert_allclose(found[output], value, rtol=1e-5, atol=1e-6)


def test_nothing_that_only_some_runtimes_have_is_written(tutorials: Callable[[str], Export]) -> None:
    loaded = tf.saved_model.load(tutorials("saved_model").folder)
    kinds: set[str] = set()
    for graph in (MODEL, START, STEP):
        definition = loaded.signatures[graph].graph.as_graph_def()
        kinds |= {node.op for node in definition.node}
        kinds |= {node.op for function in definition.library.function for node in function.node_def}
    default, model = (loaded.signatures[name].structured_outputs for name in ("serving_default", MODEL))
    assert default == model
    assert "MatMul" in kinds
    assert not [kind for kind in kinds if "Cudnn" in kind or "PyFunc" in kind]
    assert b"Flex" not in (tutorials("tflite").folder / tflite.FILE).read_bytes()


def test_onnx_has_the_wanted_version_and_named_lengths(tutorials: Callable[[str], Export]) -> None:
    onnx = pytest.importorskip("onnx")
    for graph in (MODEL, START, STEP):
        model = onnx.load(tutorials("onnx").folder / f"{graph}.onnx")
        assert [(one.domain, one.version) for one in model.opset_import if one.domain == ""] == [("", 18)]
        assert {node.domain for node in model.graph.node} == {""}
    step = {value.name: [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim] for value in model.graph.input}
    assert step["tokens"] == ["rows"]
    assert step["decoder_keys"] == ["rows", "places", 3]


def test_tf2onnx_says_nothing_of_its_own_parts(makes: Workshop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = single_layer(4, **GRU)
    spec["layers"]["logits"] = {"kind": "dense", "units": 3}
    spec["outputs"] = "logits"
    trainee = makes.trainee(spec, precision="64-true")
    written("onnx", trainee, None, tmp_path)
    assert caplog.records == []


@pytest.mark.parametrize("name", ["onnx", pytest.param("tflite", marks=pytest.mark.slow)])
def test_gelu_is_written_though_onnx_lacks_an_operation_of_it(
    name: str, makes: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainee, x = makes.trainee(single_layer(4, **GRU, activation="gelu")), RNG.normal(size=(3, 5, 4)).astype(np.float32)
    export = written(name, trainee, None, tmp_path)
    run = export.writer.open(tmp_path, export.signatures)
    [found], [expected] = run(MODEL, {"x": x}).values(), trainee.predict({"x": x}).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if name == "onnx":
        monkeypatch.setattr("framework.backends.tensorflow.exporting.onnx._HANDLERS", {})
        with pytest.raises(UnsupportedArgument, match=r"onnx: the graph 'model' has no form in ONNX: .*Erfc"):
            export.writer.write(trainee, None, tmp_path)


@pytest.mark.parametrize(("x", "start"), [("x", "start"), ("z-x", "größe")])
def test_plain_keras_takes_a_first_state_that_is_given(x: str, start: str, makes: Workshop, tmp_path: Path) -> None:
    first = {**GRU, "inputs": x, "initial_state": start, "return_state": True}
    spec = {
        "inputs": {x: {"dtype": "float32", "shape": [None, 4]}, start: {"dtype": "float32", "shape": [5]}},
        "layers": {"one": first, "two": {**GRU, "inputs": "one", "initial_state": "one.state"}},
        "outputs": {"y": "two", "next_start": "one.state"},
    }
    export = written("keras_model", makes.trainee(spec), None, tmp_path)
    given = {x: RNG.normal(size=(3, 6, 4)).astype(np.float32), start: RNG.normal(size=(3, 5)).astype(np.float32)}
    found = export.writer.open(tmp_path, export.signatures)(MODEL, {port_name(name): value for name, value in given.items()})
    for name, value in export.trainee.predict(given).items():
        np.testing.assert_allclose(found[name], value, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ({**GRU, "activation": "hard_sigmoid_tf2"}, "layer 'layer' has activation=hard_sigmoid_tf2, which Keras does not"),
        ({**GRU, "time_major": True}, "layer 'layer' has time_major, which Keras 3 does not"),
        (None, "layer 'decoder' is Gatework's AttentionDecoder, which Keras does not have"),
    ],
)
def test_what_keras_files_cannot_hold_is_named(layer: dict[str, Any] | None, why: str, makes: Workshop, tmp_path: Path) -> None:
    trainee = makes.trainee(translation() if layer is None else single_layer(4, **layer))
    with pytest.raises(UnsupportedArgument, match=f"keras: {why}; saved_model and onnx hold what the layer computes"):
        exporter("keras_model").write(trainee, None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_tflite_cannot_hold_is_named(makes: Workshop, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trainee = makes.trainee(single_layer(4, **GRU), precision="64-true")
    with pytest.raises(UnsupportedArgument, match="tflite: layer 'layer' computes in float64"):
        exporter("tflite").write(trainee, None, tmp_path)
    port = Port("x", "float32", ("batch", 3, 3))
    graph = Graph(Signature(MODEL, (port,), (port._replace(name="y"),)), lambda x: {"y": tf.linalg.cholesky(x)})
    with pytest.raises(UnsupportedArgument, match=r"tflite: TFLite has no operation tf\.Cholesky; saved_model and onnx hold the model"):
        tflite.convert([graph])
    assert "Cholesky" not in capfd.readouterr().err


@pytest.mark.parametrize("model", ["vector fed", *(pytest.param(one, marks=pytest.mark.slow) for one in ("the tutorial's", "two cells"))])
def test_loops_of_plain_tensors_give_the_same_bits(model: str, makes: Workshop) -> None:
    spec, _, inputs = MODELS[model]
    trainee = makes.trainee(spec)
    [whole, *_] = graphs_of(trainee, None)

    def run() -> Any:
        function = tf.function(whole.function, input_signature=whole.specs, autograph=False)
        kinds = {node.op for one in function.get_concrete_function().graph.as_graph_def().library.function for node in one.node_def}
        return function(*(tf.constant(inputs[port.name]) for port in whole.signature.inputs))["output"].numpy(), kinds

    expected, usual = run()
    with whole_tensors():
        found, plain = run()
    np.testing.assert_array_equal(found, expected)
    assert [kind for kind in usual if kind.startswith("TensorList")]
    assert not [kind for kind in plain if kind.startswith("TensorList")]
