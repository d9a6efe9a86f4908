"""A start that fails says why and leaves nothing: no folder, no name that `last` would mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.backends.base.registry import BACKENDS as BACKENDS_BY_NAME
from framework.cli.main import main

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]

OWN = [
    "recipe=text_generation",
    "data=text",
    "data.path=my.txt",
    "data.sequence_length=10",
    "debug=small",
    "model.layers.gru.units=5",
    "tracking=none",
]

KINDS: dict[str, tuple[list[str], str]] = {
    "a value that cannot be": (["trainer.max_epochs=x"], "trainer.max_epochs"),
    "a key that is none": (["trainer.max_epoch=3"], "did you mean: max_epochs"),
    "no such file": (["data.path=nothing.txt"], "nothing.txt"),
    "files that only the user can get": (["recipe=captioning_flickr8k", "debug=null"], "flickr8k"),
    "a text that is too short": (["data.path=short.txt"], "too short"),
    "a model that does not fit the task": (["model.layers.logits.units=3"], "logits"),
    "nothing to go on with": (["resume=must"], "resume=must"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path))
    (tmp_path / "my.txt").write_text("To gate, or not to gate: that is the reset.\n" * 60)
    (tmp_path / "short.txt").write_text("short")
    return tmp_path


def fails(folder: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["train", *OWN, *words]) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails(folder, *KINDS[kind], capsys)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["backend.device=gpu"], "gpu"),
        (["model.layers.gru.use_cudnn=true", "model.layers.gru.activation=relu"], "use_cudnn"),
        (["model.layers.gru.use_cudnn=true"], "use_cudnn"),
    ],
    ids=["device", "refused by the plan", "refused by the first call"],
)
def test_nothing_is_left_of_what_a_backend_refuses(
    backend: str, words: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(folder, [f"backend={backend}", *words], says, capsys)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_nothing_is_left_without_a_backends_library(
    backend: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS_BY_NAME, backend, ("library_that_is_not_installed", "Backend"))
    fails(folder, [f"backend={backend}"], f"gatework[{backend}]", capsys)


@pytest.mark.torch
def test_other_runs_stay_as_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *OWN, "name=one"]) == 0
    (folder / "runs" / "text_generation" / "mine").mkdir()
    capsys.readouterr()
    fails(folder, ["model.layers.gru.use_cudnn=true", "name=mine"], "use_cudnn", capsys)
    fails(folder, ["model.layers.gru.use_cudnn=true"], "use_cudnn", capsys)
    fails(folder, ["backend.device=gpu", "name=one", "trainer.max_epochs=2"], "gpu", capsys)
    record = json.loads((folder / "runs/text_generation/one/run.json").read_text())
    assert (record["status"], record["epochs"]) == ("finished", 1)
    assert (folder / "runs/last").read_text() == "text_generation/one\n"
