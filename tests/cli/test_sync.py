"""`gatework sync`: what it says and ends with; what it delivers is held by tests/tracking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracking.fake_store import FakeStore
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.cli.main import main
from framework.engine.run.lock import RunLock
from framework.tracking.outbox import Outbox


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """What every address leads to."""
    monkeypatch.chdir(tmp_path)
    found = FakeStore()
    monkeypatch.setattr(Outbox, "open_store", lambda *words: found)
    return found


def new_run(name: str, *overrides: str) -> RunOnDisk:
    run = RunOnDisk(Path("runs").absolute() / "text_generation" / name, framework.load("text_generation", overrides=[*RECIPE, *overrides]))
    run.measure(1, 5)
    return run


def test_the_rest_of_a_killed_run_is_delivered_once(tmp_path: Path, store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one")
    Path("runs/last").write_text("text_generation/one\n")
    assert main(["sync", "last"]) == 0
    place = f"run run-0 at sqlite:///{tmp_path / 'mlflow.db'}, killed"
    parameters = len(store.only_run().parameters)
    expected = f"text_generation/one: delivered 10 values, {parameters} parameters, 3 files, the end of the run; {place}\n"
    assert capsys.readouterr().out == expected
    assert main(["sync", "one"]) == 0
    assert capsys.readouterr().out == f"text_generation/one: nothing was left to deliver; {place}\n"
    assert main(["sync", "run-0"]) == 0  # by its id in MLflow
    assert "nothing was left" in capsys.readouterr().out


def test_a_store_that_fails_ends_it_with_1_and_keeps_the_rest(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one")

    def fails() -> Iterator[str | None]:
        yield from [None] * 6
        while True:
            yield "before"

    answers = fails()
    store.fails = lambda: next(answers)
    assert main(["sync", "one", "--uri", "http://me:secret@host"]) == 1
    out = capsys.readouterr().out
    assert "text_generation/one: not everything could be delivered (refused); delivered " in out
    assert "at http://host" in out
    assert "secret" not in out
    store.fails = lambda: None
    assert main(["sync", "one"]) == 0
    assert len(store.only_run().values) == 10


def test_without_a_name_every_run_is_delivered_but_those_in_training(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        new_run(name)
    new_run("untracked", "tracking=none")
    busy = new_run("busy")
    with RunLock(busy.path):
        assert main(["sync"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(":")[0] for line in lines] == [f"text_generation/{name}" for name in ("busy", "one", "two")]
        assert f"busy: left alone; {busy.path} is in use by process {os.getpid()}" in lines[0]
        assert main(["sync", "busy"]) == 2
        assert "is in use by process" in capsys.readouterr().err
    assert sorted(run.name for run in store.all_runs.values()) == ["one", "two"]


def test_a_run_without_tracking_needs_an_address(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    new_run("untracked", "tracking=none")
    assert main(["sync", "untracked"]) == 2
    assert "was trained with tracking=none; --uri ADDRESS records it all the same" in capsys.readouterr().err
    assert main(["sync", "untracked", "--uri", "http://host"]) == 0
    assert store.only_run().name == "untracked"


@pytest.mark.parametrize(
    ("words", "message"),
    [(["sync", "nothing"], "no run 'nothing'"), (["sync", "--timeout", "0"], "--timeout is 0.0; expected more than 0")],
)
def test_wrong_input_ends_it_with_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_without_mlflow_it_says_how_to_get_it(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("framework.tracking.sync.mlflow_is_installed", lambda: False)
    new_run("one")
    assert main(["sync", "one"]) == 2
    assert "pip install 'gatework[mlflow]'" in capsys.readouterr().err


def test_nothing_there_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync"]) == 0
    assert capsys.readouterr().out == f"no runs below {tmp_path / 'runs'}\n"
