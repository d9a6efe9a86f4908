"""The proof tells which operators each layer of a model really ran, on both backends."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import Workshop

from framework.backends.base.proof import kernel_of, watched_layers
from framework.cli.main import main

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]
RETURN = {"return_sequences": True}
MODEL = {
    "inputs": {"x": {"dtype": "float32", "shape": [None, 3]}},
    "layers": {
        "small": {"kind": "gru", "units": 4, **RETURN},
        "small_1": {"kind": "gru", "units": 4, "activation": "relu", **RETURN},
        "both ways": {"kind": "bidirectional", "layer": {"kind": "gru", "units": 4, **RETURN}},
        "last": {"kind": "gru", "units": 4, "name": "renamed"},
        "dense": {"kind": "dense", "units": 2},
    },
    "outputs": "dense",
}
INPUTS = {"x": np.ones((2, 5, 3), np.float32)}
ELIGIBLE = {"small": True, "small_1": False, "both ways": True, "last": True}


def has_gpu(backend: str) -> bool:
    if backend == "torch":
        return bool(import_module("torch").cuda.is_available())
    return bool(import_module("tensorflow").config.list_physical_devices("GPU"))


def kernels(backend: str, device: str = "cpu") -> dict[str, str]:
    trainee = Workshop(backend).trainee(MODEL, device=device)
    names = watched_layers(trainee.plan)
    assert {name: trainee.plan.layer(name).cudnn[backend].eligible for name in names} == ELIGIBLE
    seen = import_module(f"framework.backends.{backend}.proof").operators_by_layer(trainee, names, INPUTS)
    assert list(seen) == names
    assert {name for name, operators in seen.items() if any("relu" in one.lower() for one in operators)} == {"small_1"}
    return {name: kernel_of(operators) for name, operators in seen.items()}


@pytest.mark.parametrize(
    ("operators", "kernel"),
    [
        (["aten::mm", "aten::_cudnn_rnn", "aten::gru"], "cuDNN"),
        (["MatMul", "CudnnRNNV3"], "cuDNN"),
        (["aten::gru", "aten::linear"], "torch's own kernel"),
        (["MatMul", "While", "aten::sigmoid"], "scan"),
        ([], "scan"),
    ],
)
def test_an_operator_proves_a_kernel(operators: list[str], kernel: str) -> None:
    assert kernel_of(operators) == kernel


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_gru_is_watched_under_its_own_name(backend: str) -> None:
    if has_gpu(backend):
        pytest.skip("tells a CPU's kernels")
    own = "torch's own kernel" if backend == "torch" else "scan"
    assert kernels(backend) == {"small": own, "small_1": "scan", "both ways": own, "last": own}


@pytest.mark.gpu
@pytest.mark.parametrize("backend", BACKENDS)
def test_on_a_gpu_the_kernels_are_those_of_the_verdicts(backend: str) -> None:
    if not has_gpu(backend):
        pytest.skip("there is no GPU here")
    assert kernels(backend, "gpu") == {name: "cuDNN" if eligible else "scan" for name, eligible in ELIGIBLE.items()}


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """TensorFlow with a GPU, as far as the layers can tell: graphs get cuDNN's operator, which has no kernel here."""
    tf = import_module("tensorflow")
    if has_gpu("tensorflow"):
        pytest.skip("there is a GPU here")
    real = tf.config.list_logical_devices
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["GPU:0"] if kind == "GPU" else real(kind))
    return tf


@pytest.mark.tensorflow
def test_a_graph_that_cannot_run_proves_nothing(pretended_gpu: Any) -> None:
    with pytest.raises(pretended_gpu.errors.OpError, match="CudnnRNNV3"):
        kernels("tensorflow")


@pytest.mark.tensorflow
def test_tensorflows_graph_tells_cudnn_by_layer(pretended_gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but that a recorder stands where the graph would be run."""
    runs: list[Any] = []

    class Recorder:
        def __init__(self, traced: Any) -> None:
            self.graph = traced.graph

        def __call__(self, *arguments: Any) -> None:
            runs.append(arguments)

    class Function:
        def __init__(self, function: Any, **options: Any) -> None:
            self.function = real(function, **options)

        def get_concrete_function(self, *arguments: Any) -> Recorder:
            return Recorder(self.function.get_concrete_function(*arguments))

    real = pretended_gpu.function
    trainee = Workshop("tensorflow").trainee(MODEL)
    proof = import_module("framework.backends.tensorflow.proof")
    monkeypatch.setattr(proof.tf, "function", Function)
    seen = proof.operators_by_layer(trainee, list(ELIGIBLE), INPUTS)
    assert len(runs) == 1
    assert {name: kernel_of(operators) for name, operators in seen.items()} == {
        name: "cuDNN" if eligible else "scan" for name, eligible in ELIGIBLE.items()
    }


@pytest.mark.tensorflow
def test_operators_of_called_functions_have_the_path_of_the_call() -> None:
    tf = import_module("tensorflow")
    proof = import_module("framework.backends.tensorflow.proof")

    @tf.function
    def inner(x: Any) -> Any:
        return tf.while_loop(lambda x: x < 9.0, lambda x: [tf.tanh(x) + 1.0], [x])[0]

    def outer(x: Any) -> Any:
        with tf.name_scope("here"):
            return inner(x)

    graph = tf.function(outer, autograph=False).get_concrete_function(tf.constant(1.0)).graph
    paths = {path.partition("/")[0] for path, operator in proof.graph_operators(graph) if operator == "Tanh"}
    assert paths == {"here"}


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An explanation of a small model with its proof."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("abcdefgh\n" * 400)
    small = ["data=text", "data.path=my.txt", "model.layers.gru.units=8", "debug=small"]
    return ["explain", "recipe=text_generation", *small, "--proof"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_explain_proof_runs_the_model(backend: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, f"backend={backend}"]) == 0
    assert "proof gru: verdict cuDNN on a GPU; ran here on " in capsys.readouterr().out


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_proof_is_part_of_the_json(backend: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, f"backend={backend}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["proof"]["gru"]["eligible"] is True
    assert answer["proof"]["gru"]["kernel"] in ("scan", "torch's own kernel", "cuDNN")
    assert answer["layers"]
    assert main([*(word for word in words if word != "--proof"), "--json"]) == 0
    assert "proof" not in json.loads(capsys.readouterr().out)
