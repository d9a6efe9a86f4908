"""Exports of models out of the ordinary: names, data types and lengths that a format, or what runs it, does not take as they are."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from attention_models import sentences, translation
from small_models import Workshop, language_model, single_layer

import framework
from framework.backends.base.exporting import NEXT, Decoded, state_port
from framework.backends.base.training import Arrays
from framework.backends.torch.exporting.graphs import recordable
from framework.builder.stateless import carried_model
from framework.engine.model.export_check import deviation_of
from framework.engine.model.export_page import DECODING, EXAMPLE, INTERFACE, PAGE
from framework.engine.model.exporting import ExportedModel, export_model
from framework.errors import UnsupportedArgument
from framework.spec.validate import validate_model

pytestmark = [pytest.mark.torch]

GRU: dict[str, Any] = {"kind": "gru", "units": 3, "return_sequences": True}
KEPT: dict[str, Any] = {**GRU, "stateful": True}
NAMES = ("gru", "next_gru", "1gru", "_gru", "größe", "my-gru", "my_gru")
STEPS = 4
WRITTEN = 1 + 5 + 1
"""Letters that an example prints: the prompt, what it writes, and the end of the line."""

WORDS = (
    *("data=text", "data.batch_size=2", f"data.sequence_length={STEPS}", "trainer.max_epochs=1", "trainer.limit_train_batches=1"),
    *(
        "trainer.limit_val_batches=1",
        "trainer.sample_every_n_epochs=null",
        "decoding.prompt=a",
        "decoding.sample_length=5",
        "tracking=none",
    ),
)
SLOW = [
    pytest.param("onnx", marks=pytest.mark.slow),
    *(pytest.param(name, marks=[pytest.mark.tensorflow, pytest.mark.slow]) for name in ("saved_model", "tflite")),
]
KERAS = pytest.param("keras", marks=pytest.mark.tensorflow)

Export = Callable[..., ExportedModel]


@pytest.fixture
def export(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Trains a language model of the given layers a little, and exports it."""
    monkeypatch.chdir(tmp_path)

    def trained_and_exported(layers: dict[str, Any], format_name: str, *words: str, steps: int | None = None) -> ExportedModel:
        tokens = {"dtype": "int32", "shape": [steps], "batch_size": "${data.batch_size}"}
        embedding = {"kind": "embedding", "inputs": "tokens", "input_dim": "${size:tokens}", "output_dim": 2}
        content = {
            "inputs": {"tokens": tokens},
            "layers": {"embedding": embedding, **layers, "logits": {"kind": "dense", "units": "${size:tokens}"}},
            "outputs": "logits",
        }
        if format_name == "onnx":
            pytest.importorskip("onnxscript")
        Path("configs/model").mkdir(parents=True)
        Path("configs/model/mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        framework.train(framework.load("text_generation", ["model=mine", "name=mine", f"data.path={text}", *WORDS, *words]))
        return export_model("mine", format_name, "out")

    return trained_and_exported


def example_of(found: ExportedModel, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the export's example prints, which writes five tokens; in this process, as another one would load libraries for seconds."""
    monkeypatch.chdir(found.folder)
    if (found.folder / DECODING).exists():
        spelling = json.loads((found.folder / DECODING).read_text())
        (found.folder / DECODING).write_text(json.dumps({**spelling, "steps": 5}))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile((found.folder / EXAMPLE).read_text(encoding="utf-8"), EXAMPLE, "exec"), {})
    return said.getvalue()


def ports(found: ExportedModel, graph: str, part: str) -> list[str]:
    return [port["name"] for port in json.loads((found.folder / INTERFACE).read_text())["graphs"][graph][part]]


@pytest.mark.parametrize("format_name", [KERAS, *SLOW, pytest.param("torch_export", marks=pytest.mark.slow)])
def test_layers_of_any_names(format_name: str, export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that begin with a digit or a sign, that are not ASCII, that are one once signs are, or that outputs are called by."""
    found = export(dict.fromkeys(NAMES, KEPT), format_name)
    states = ["gru_state", "next_gru_state_", "x1gru_state", "x_gru_state", "gr__e_state", "my_gru_state", "my_gru_state_"]
    assert ports(found, "model", "inputs") == ["tokens", *states]
    assert ports(found, "model", "outputs") == ["output", *(f"next_{name}" for name in states)]
    if "step" in found.graphs:
        assert ports(found, "step", "inputs") == ["tokens", *states]
    assert len(example_of(found, monkeypatch)) == WRITTEN


@pytest.mark.parametrize("own", [{"dtype": "float32"}, {"dtype": "float64", "stateful": True}])
def test_layers_with_a_data_type_of_their_own(own: dict[str, Any], export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    found = export({"gru": {**GRU, **own}}, "torch_export")
    assert found.deviation < 1e-6
    assert len(example_of(found, monkeypatch)) == WRITTEN


@pytest.mark.parametrize("format_name", ["torch_export", KERAS, *SLOW])
@pytest.mark.parametrize("stateful", [True, False])
def test_a_fixed_number_of_steps(stateful: bool, format_name: str, export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    found = export({"gru": {**GRU, "stateful": stateful, "unroll": True}}, format_name, steps=STEPS)
    said, page = example_of(found, monkeypatch), (found.folder / PAGE).read_text()
    if "step" in found.graphs:
        assert len(said) == WRITTEN
        return
    # A text shorter than that does not go through the model, so there is none to write.
    assert said.startswith(f"output (1, {STEPS}, ")
    assert ("next_gru_state (1, 3)" in said) == stateful
    assert DECODING not in page and not (found.folder / DECODING).exists()
    assert found.notes[0] == f"the format holds no step of decoding, and the model takes {STEPS} tokens at once: it cannot write text"


@pytest.mark.parametrize(("usual", "precision", "own"), [("float32", "32-true", "float64"), ("float64", "64-true", "float32")])
def test_torch_onnx_refuses_layers_that_compute_in_another_type(
    usual: str, precision: str, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file would end the process of whoever loads it, so nothing is recorded."""
    pytest.importorskip("onnxscript")
    exporting = import_module("framework.backends.torch.exporting.onnx")
    monkeypatch.setattr(exporting, "recordable", lambda *_: pytest.fail("something is recorded"))
    layers = {"gru": {**GRU, "dtype": usual}, "wide": {"kind": "dense", "units": 3, "dtype": own}}
    trainee = Workshop("torch").trainee(language_model(None, **layers), precision=precision)
    why = (
        f"onnx: layer 'wide' computes in {own} and the model in {usual}: ONNX Runtime may crash at what torch writes of that; torch_export"
    )
    with pytest.raises(UnsupportedArgument, match=why) as caught:
        exporting.EXPORTER.write(trainee, None, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def compared(model: dict[str, Any], inputs: Mapping[str, Any], decoded: str | None = None) -> list[str]:
    """Compares the graphs of a model as those of an export are, without a file; which were run, each with exactly what it takes."""
    trainee, carried = (Workshop("torch").trainee(one) for one in (model, without_states(model)))
    graphs = {one.signature.name: one for one in recordable(carried, None if decoded is None else Decoded(carried, decoded))}
    ran = []

    def run(graph: str, arrays: Arrays) -> dict[str, Any]:
        signature = graphs[graph].signature
        assert set(arrays) == {port.name for port in signature.inputs}
        with torch.no_grad():
            made = graphs[graph].module(*(torch.from_numpy(np.ascontiguousarray(arrays[port.name])) for port in signature.inputs))
        ran.append(graph)
        return {port.name: value.numpy() for port, value in zip(signature.outputs, made, strict=True)}

    assert deviation_of(run, {name: one.signature for name, one in graphs.items()}, trainee, decoded, inputs, "torch") < 1e-5
    return ran


def without_states(model: dict[str, Any]) -> dict[str, Any]:
    return carried_model(validate_model(model), "float32", NEXT, state_port).model_dump(mode="json")


def test_outputs_that_are_called_as_those_of_states_are() -> None:
    model = single_layer(4, **KEPT)
    model["inputs"]["x"]["batch_size"] = 3
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32)
    assert compared({**model, "outputs": {"next_x": "layer", "next_layer": "layer"}}, {"x": x}) == ["model"] * 2


def test_a_layer_whose_attention_is_called_as_a_state_is() -> None:
    model = translation({"cell": {"kind": "gru", "units": 6}, "attention": {"kind": "dot"}})
    model["layers"] = {("next_decoder" if name == "decoder" else name): layer for name, layer in model["layers"].items()}
    model["layers"]["logits"]["inputs"] = "next_decoder"
    assert compared(model, sentences(), "target") == ["model", "start", *["step"] * 3, "model", "start", *["step"] * 2]
