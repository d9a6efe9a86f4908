"""A stranger's folder: an own text and own YAML, no Python. Trains, sweeps, writes and measures on both backends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.cli.main import main

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]
SMALL = ["model.layers.gru.units=12", "model.layers.embedding.output_dim=8", "data.sequence_length=10", "debug=small", "tracking=none"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("To gate, or not to gate: that is the reset.\n" * 60)
    assert main(["new", "mine"]) == 0
    return tmp_path


@pytest.mark.parametrize("backend", BACKENDS)
def test_trains_generates_and_evaluates(backend: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "recipe=mine", "data.path=my.txt", f"backend={backend}", *SMALL]
    assert main(["check", *command[1:]]) == 0
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "untrained loss" in out
    assert "epoch 1/1: loss" in out
    assert main(["generate", "last", "--prompt", "To gate", "--length", "20", "--seed", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("To gate")
    assert len(captured.out.rstrip("\n")) == 27
    assert "20 tokens in" in captured.err
    assert main(["generate", "last", "--prompt", "To", "--prompt", "reset", "--num", "2", "--length", "5", "--top-k", "3"]) == 0
    assert capsys.readouterr().out.count("---") == 4
    assert main(["evaluate", "last", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["split"] == "train"
    assert result["loss"] > 0


@pytest.mark.torch
def test_unknown_characters_are_named_or_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, extra in (("strict", []), ("lenient", ["data.unknown=replace"])):
        assert main(["train", "recipe=mine", "data.path=my.txt", f"name={name}", *extra, *SMALL]) == 0
    capsys.readouterr()
    assert main(["generate", "strict", "--prompt", "Zoë"]) == 2
    error = capsys.readouterr().err
    assert "'Z'" in error and "'ë'" in error and "data.unknown=replace" in error
    assert main(["generate", "lenient", "--prompt", "Zoë", "--length", "30"]) == 0
    assert "[UNK]" not in capsys.readouterr().out[3:]


@pytest.mark.torch
def test_a_multirun_over_two_values_gives_two_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest = [word for word in SMALL if "units" not in word]
    assert main(["train", "-m", "recipe=mine", "data.path=my.txt", "model.layers.gru.units=5,6", "hydra/launcher=basic", *rest]) == 0
    runs = sorted((folder / "runs" / "mine").glob("*/run.json"))
    assert [json.loads(run.read_text())["status"] for run in runs] == ["finished", "finished"]
    units = {json.loads(run.read_text())["settings"]["model"]["layers"]["gru"]["units"] for run in runs}
    assert units == {5, 6}


def test_cfg_job_prints_the_composed_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "job", "recipe=mine", "model.layers.gru.recurrent_dropout=0.2"]) == 0
    out = capsys.readouterr().out
    assert "recurrent_dropout: 0.2" in out
    assert "${size:tokens}" in out
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["data.path=empty.txt"], "empty"),
        (["data.path=short.txt"], "too short"),
        (["data.path=binary.bin"], "binary.bin"),
        (["data.path=mine.txt"], "my.txt"),
        (["data.path=my.txt", "data.batch_size=-3"], "a whole number above 0"),
        (["data.path=my.txt", "trainer.max_epochs=x"], "a whole number above 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_to_train_is_named_and_leaves_no_run(
    words: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty.txt").write_text("")
    (folder / "short.txt").write_text("short")
    (folder / "binary.bin").write_bytes(b"ab\0cd" * 1000)
    assert main(["train", "recipe=mine", *words, *SMALL]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert not list(folder.glob("runs/*/*/run.json"))
