"""Exports of all recipes: what is written computes the same, for any lengths, and its example writes the same text without Gatework."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_captions import write_captions
from small_experiments import SMALL
from small_translations import write_translations

import framework
from framework.backends.base import exporting
from framework.cli.main import main
from framework.decoding.search import SearchSettings, search
from framework.engine.model.convert import convert_run
from framework.engine.model.export_page import DECODING, EXAMPLE, INTERFACE, PAGE, ROW
from framework.engine.model.exporting import ExportedModel, export_model
from framework.engine.model.run import Run
from framework.errors import DataError, InputError, ParityError, UnsupportedArgument

pytestmark = [pytest.mark.torch]

ALONE = "import sys; sys.modules['framework'] = None; exec(open('example.py').read())"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def text(place: Path) -> None:
    """A run of text generation."""
    words = ["gate", "state", "reset", "update", "hidden", ""]
    (place / "my.txt").write_text(" ".join(words[number * number % 5] for number in range(700)))
    trained(place, "text_generation", "text", *SMALL, f"data.path={place / 'my.txt'}", "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def translation(place: Path) -> None:
    """A run of translation."""
    write_translations(place / "translation")
    trained(place / "translation", "mine", "translation", "data.path=pairs.tsv", "trainer.max_epochs=2", f"paths.runs_dir={place / 'runs'}")


@pytest.fixture(scope="module")
def captions(place: Path) -> None:
    """A run of captioning."""
    write_captions(place / "captions")
    trained(place / "captions", "mine", "captions", "trainer.max_epochs=2", f"paths.runs_dir={place / 'runs'}")


def trained(folder: Path, recipe: str, name: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        framework.train(framework.load(recipe, [f"name={name}", *words]))


@pytest.fixture
def user(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="module")
def text_as_onnx(place: Path, text: None, tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    pytest.importorskip("onnxscript")
    return export_model("text", "onnx", tmp_path_factory.mktemp("exports") / "onnx", str(place / "runs"))


def example_of(folder: Path) -> str:
    finished = subprocess.run([sys.executable, "-c", ALONE], cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.removesuffix("\n")


def written_by_gatework(run: Run, folder: Path) -> str:
    """The greedy text of the very input that the export's example reads."""
    model, spelling = run.model, json.loads((folder / DECODING).read_text())
    if (folder / ROW).is_file():
        inputs = dict(np.load(folder / ROW))
        settings = SearchSettings("greedy", banned=model.processor.banned)
        [[found]] = search(model.stepper, inputs, 1, spelling["first"][0], spelling["end"], settings, max_length=spelling["steps"])
        return str(model.processor.decode_target(found.tokens))  # type: ignore[attr-defined]
    prompt = "".join(spelling["tokens"][one] for one in spelling["first"])
    return run.generate(prompt, length=100, temperature=1e-6)


@pytest.mark.parametrize(
    ("run", "format_name"),
    [
        ("translation", "onnx"),
        *(
            pytest.param(run, name, marks=pytest.mark.slow)
            for run, name in (
                ("text", "torch_export"),
                ("translation", "torch_export"),
                ("captions", "onnx"),
                ("captions", "torch_export"),
                *((run, name) for run in ("text", "translation", "captions") for name in ("saved_model", "tflite")),
                ("text", "keras"),
            )
        ),
    ],
)
def test_an_example_writes_the_same_text_without_gatework(
    run: str, format_name: str, user: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if format_name == "onnx":
        pytest.importorskip("onnxscript")
    request.getfixturevalue(run)
    if run != "text":
        monkeypatch.chdir(user / run)
    check_example(export_model(run, format_name, tmp_path / "out", str(user / "runs")), user)


def test_an_example_of_onnx_writes_the_same_text_without_gatework(text_as_onnx: ExportedModel, user: Path) -> None:
    check_example(text_as_onnx, user)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("format_name", ["onnx", "saved_model", "tflite"])
@pytest.mark.parametrize("run", ["text", "translation", "captions"])
def test_an_example_of_tensorflow_writes_the_same_text_without_gatework(
    run: str, format_name: str, user: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if format_name == "onnx":
        pytest.importorskip("tf2onnx")
    request.getfixturevalue(run)
    if run != "text":
        monkeypatch.chdir(user / run)
    if not (user / "runs" / ("text_generation" if run == "text" else "mine") / f"{run}-tensorflow").is_dir():
        convert_run(run, "tensorflow", runs_dir=str(user / "runs"))
    found = export_model(f"{run}-tensorflow", format_name, tmp_path / "out", str(user / "runs"))
    assert found.backend == "tensorflow"
    check_example(found, user)


def test_a_format_that_cannot_hold_a_layer_says_so(translation: None, user: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(user / "translation")
    with pytest.raises(UnsupportedArgument, match="keras: layer 'decoder' is Gatework's AttentionDecoder, which Keras does not have"):
        export_model("translation", "keras", tmp_path / "out", str(user / "runs"))
    assert list(tmp_path.iterdir()) == []


def check_example(found: ExportedModel, user: Path) -> None:
    assert 0 <= found.deviation < 1e-5
    steps = ("step",) if found.source.name.startswith("text") else ("start", "step")
    assert found.graphs == ("model", *(steps if found.format != "keras" else ()))
    assert (found.folder / EXAMPLE).read_text() in (found.folder / PAGE).read_text()
    text = example_of(found.folder)
    assert text.strip() == written_by_gatework(framework.open_run(found.source.name, str(user / "runs")), found.folder).strip()
    assert len(text) > 5


def test_weights_are_written_as_they_are(text: None, user: Path, tmp_path: Path) -> None:
    found = export_model("text", "safetensors", tmp_path / "out", str(user / "runs"))
    assert found.deviation == 0
    assert "the format holds arrays alone" in found.notes[0]
    shapes = [f"{name} {value.shape}" for name, value in framework.open_run("text", str(user / "runs")).trainee.weights().items()]
    assert sorted(example_of(found.folder).splitlines()) == sorted(shapes)


def test_the_interface_says_what_the_file_takes(text_as_onnx: ExportedModel, user: Path) -> None:
    import onnxruntime

    found = text_as_onnx
    interface = json.loads((found.folder / INTERFACE).read_text())
    session = onnxruntime.InferenceSession(str(found.folder / "model.onnx"))
    for part, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        told = [(port["name"], port["shape"]) for port in interface["graphs"]["model"][part]]
        assert told == [(one.name, list(one.shape)) for one in values]
    assert [port["name"] for port in interface["graphs"]["model"]["inputs"]] == ["tokens", "gru_state"]
    assert interface["graphs"]["model"]["outputs"][1] == {"name": "next_gru_state", "dtype": "float32", "shape": ["batch", 10]}
    trained = framework.open_run("text", str(user / "runs")).trainee
    for rows, steps in ((1, 1), (7, 13)):
        tokens = np.arange(rows * steps, dtype=np.int32).reshape(rows, steps) % 9
        output, _ = session.run(None, {"tokens": tokens, "gru_state": np.zeros((rows, 10), np.float32)})
        # The run's own model has batches of four rows alone.
        padded = np.concatenate([tokens, np.zeros((12 - rows, steps), np.int32)])
        expected = np.concatenate([trained.predict({"tokens": some})["output"] for some in np.split(padded, 3)])
        np.testing.assert_allclose(output, expected[:rows], rtol=1e-4, atol=1e-6)


def test_a_file_that_computes_something_else_is_not_left(text: None, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert export_model("text", "torch_export", tmp_path / "out", str(user / "runs")).deviation < 1e-5
    shutil.rmtree(tmp_path / "out")
    _, exporter = exporting.load_exporter("torch_export", "torch")
    opened = type(exporter).open

    def wrong(self: Any, folder: Path, signatures: Any) -> Any:
        run = opened(self, folder, signatures)  # type: ignore[arg-type]
        return lambda graph, inputs: {name: value + (graph == "step") * 1e-3 for name, value in run(graph, inputs).items()}

    monkeypatch.setattr(type(exporter), "open", wrong)
    with pytest.raises(ParityError, match=r"the models of the run and torch_export disagree by more than 1e-05") as caught:
        export_model("text", "torch_export", tmp_path / "out", str(user / "runs"))
    assert "step logits" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_replaced_and_anything_else_is_left_alone(text: None, user: Path, tmp_path: Path) -> None:
    first = export_model("text", "safetensors", runs_dir=str(user / "runs"))
    assert first.folder == user / "runs" / "text_generation" / "text" / "exports" / "safetensors"
    (first.folder / "old").touch()
    assert not (export_model("text", "safetensors", runs_dir=str(user / "runs")).folder / "old").exists()
    assert [one.name for one in first.folder.parent.iterdir()] == ["safetensors"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(InputError, match="mine holds something else than an export; name another folder with --output"):
        export_model("text", "safetensors", tmp_path / "mine", str(user / "runs"))
    assert (tmp_path / "mine" / "letter.txt").is_file()


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("", "--output is empty; expected the name of a folder"),
        (".", "here is the folder that you are in, or holds it, and would be replaced; name another one with --output"),
        ("../here", "here is the folder that you are in, or holds it, and would be replaced; name another one with --output"),
        ("/", "/ holds something else than an export; name another folder with --output"),
    ],
)
def test_folders_that_cannot_be_written_are_named(
    output: str, why: str, text: None, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["export", "text", "--runs-dir", str(user / "runs"), "--format", "safetensors", "--output", output]) == 2
    said = capsys.readouterr().err
    assert why in said and len(said.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["here"] and list(Path.cwd().iterdir()) == []


def test_a_refusal_leaves_no_folders(translation: None, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "letter.txt").touch()
    with monkeypatch.context() as patch, pytest.raises(UnsupportedArgument, match="keras: layer 'decoder'"):
        patch.chdir(user / "translation")
        export_model("translation", "keras", tmp_path / "there" / "new" / "deep", str(user / "runs"))
    assert [one.name for one in tmp_path.rglob("*")] == ["there", "letter.txt"]
    found = export_model("translation", "safetensors", "there/new/../deep", str(user / "runs"))
    assert found.folder == tmp_path / "there" / "deep"
    assert sorted(one.name for one in (tmp_path / "there").iterdir()) == ["deep", "letter.txt"]


def test_what_is_wrong_is_named(text: None, user: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["export", "text", "--format", "onxn"]) == 2
    assert "there is no export format 'onxn', only onnx, torch_export, saved_model, keras, tflite, safetensors" in (
        said := capsys.readouterr().err
    )
    assert "did you mean 'onnx'?" in said
    monkeypatch.delitem(sys.modules, "framework.backends.torch.exporting.onnx", raising=False)
    monkeypatch.delitem(sys.modules, "framework.backends.base.onnx_files", raising=False)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", "text", "--format", "onnx"]) == 2
    said = capsys.readouterr().err
    assert "the export format 'onnx' needs the library 'onnxscript', which is not installed: pip install 'gatework[export]'" in said
    assert main(["export", "nothing", "--format", "onnx"]) == 2
    assert "no run 'nothing'" in capsys.readouterr().err


def test_layers_in_lower_precision_are_named(text: None, user: Path, tmp_path: Path) -> None:
    words = [*SMALL, f"data.path={user / 'my.txt'}", "name=lower", "trainer.max_epochs=1", "trainer.limit_train_batches=1"]
    framework.train(framework.load("text_generation", [*words, "model.layers.gru.dtype=mixed_bfloat16"]))
    with pytest.raises(UnsupportedArgument, match="layer 'gru': dtype 'mixed_bfloat16' cannot be exported; expected float32 or float64"):
        export_model("lower", "torch_export", tmp_path / "out", str(user / "runs"))
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(text: None, user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "text", "--format", "safetensors", "--output", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["graphs"], found["deviation"]) == ("safetensors", ["weights"], 0)
    assert main(["export", "text", "--format", "safetensors", "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "outputs differ from the trained model's by at most 0.0e+00 of the largest (allowed: 1e-05)"
    assert lines[-1] == f"next: cd {tmp_path / 'out'} && python example.py"


def test_a_run_writes_its_own_export(text: None, user: Path, tmp_path: Path) -> None:
    run = framework.open_run("text", str(user / "runs"))
    assert run.export("safetensors", tmp_path / "mine") == tmp_path / "mine"
    assert run.export("safetensors") == run.path / "exports" / "safetensors"
    whole = export_model("text", "safetensors", tmp_path / "other", str(user / "runs"))
    weights = [
        (folder / "weights.safetensors").read_bytes() for folder in (tmp_path / "mine", run.path / "exports" / "safetensors", whole.folder)
    ]
    assert weights[0] == weights[1] == weights[2]
    with pytest.raises(InputError, match="no export format 'onxn'"):
        run.export("onxn", tmp_path / "out")
    (user / "my.txt").rename(user / "elsewhere.txt")
    try:
        with pytest.raises(DataError, match=r"my\.txt"):
            run.export("torch_export", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        moved = run.export("torch_export", tmp_path / "out", [f"data.path={user / 'elsewhere.txt'}"])
        assert (moved / "model.pt2").is_file()
    finally:
        (user / "elsewhere.txt").rename(user / "my.txt")
