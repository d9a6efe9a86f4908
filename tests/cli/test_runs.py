"""`gatework runs`: what is there, in what it differs, and what may go."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.cli.main import main
from framework.engine.run.checkpoint import PROGRESS, STATE
from framework.engine.run.lock import RunLock


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_run(name: str, *overrides: str, recipe: str = "text_generation", started: float = 0.0) -> RunOnDisk:
    experiment = framework.load("text_generation", overrides=[*RECIPE, "trainer.max_epochs=10", *overrides])
    run = RunOnDisk(Path("runs").absolute() / recipe / name, experiment)
    run.update(started=started)
    return run


def epochs(run: RunOnDisk, *losses: tuple[float, float | None], seconds: float = 1.5) -> None:
    for epoch, (loss, val_loss) in enumerate(losses, start=1):
        run.measure(10 * epoch - 9, 10 * epoch)
        validation = {} if val_loss is None else {"epoch/val_loss": val_loss}
        run.recorder.record(10 * epoch, epoch, {"epoch/loss": loss, "epoch/seconds": seconds, **validation})
    run.recorder.close()


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert main(["runs", "--json", *words]) == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def test_without_runs_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == f"no runs below {tmp_path / 'runs'}\n"
    assert listed(capsys) == []


def test_every_run_is_listed_with_what_it_came_to(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    finished = new_run("one", started=2.0)
    epochs(finished, (3.0, 3.5), (2.0, None))
    finished.update(status="finished", epochs=2, wall_seconds=100.0)
    (finished.path / "tracking.json").write_text('{"run_id": "abc"}')
    (finished.path / "model").mkdir()
    (finished.path / "model" / "weights.safetensors").write_bytes(bytes(5000))
    os.link(finished.path / "model" / "weights.safetensors", finished.path / "model" / "again")
    epochs(new_run("two", "model.layers.gru.units=16", "seed=3", started=1.0), (4.0, None))
    two, one = listed(capsys)
    assert (one["name"], one["status"], one["backend"], one["epochs"], one["max_epochs"]) == ("one", "finished", "torch", 2, 10)
    assert (one["loss"], one["val_loss"], one["seconds"], one["mlflow_run"]) == (2.0, 3.5, 100.0, "abc")
    files = sum(path.stat().st_size for path in finished.path.rglob("*") if path.is_file())
    assert one["bytes"] == files - 5000, "what is linked twice counts once"
    assert one["differs"] == {"model.layers.gru.units": 8, "seed": 0}
    assert (two["name"], two["epochs"], two["loss"], two["val_loss"], two["seconds"]) == ("two", 1, 4.0, None, 1.5)
    assert two["differs"] == {"model.layers.gru.units": 16, "seed": 3}
    assert main(["runs"]) == 0
    head, second, first = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "status", "backend", "epochs", "loss", "val_loss", "time", "size", "differs", "in"]
    assert first.split()[:7] == ["text_generation/one", "finished", "torch", "2/10", "2.0000", "3.5000", "1"]
    assert "1 min 40 s" in first
    assert second.split()[-2:] == ["seed=3", "model.layers.gru.units=16"]


def test_a_run_whose_process_is_gone_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    run = new_run("one")
    assert [row["status"] for row in listed(capsys)] == ["killed"]
    with RunLock(run.path):
        assert [row["status"] for row in listed(capsys)] == ["running"]
    (run.path / "lock").write_text(json.dumps({"pid": 1999999999, "host": os.uname().nodename, "started": "1"}))
    assert [row["status"] for row in listed(capsys)] == ["killed"]
    run.update(status="stopped")
    assert [row["status"] for row in listed(capsys)] == ["stopped"]


def test_a_run_that_cannot_be_read_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one")
    new_run("two").update(format=99)
    (new_run("three").path / "run.json").write_text("{")
    assert {str(row["name"]): row["status"] for row in listed(capsys)} == {"one": "killed", "two": "unreadable", "three": "unreadable"}
    assert main(["runs"]) == 0


def test_only_runs_of_one_recipe_differ_from_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    new_run("two", "seed=2", recipe="other")
    assert [row["differs"] for row in listed(capsys)] == [{}, {}]
    assert [row["name"] for row in listed(capsys, "other")] == ["two"]
    assert main(["runs", "othr"]) == 2
    assert "no runs of recipe 'othr'" in (message := capsys.readouterr().err)
    assert "did you mean other?" in message
    assert main(["runs", "--yes"]) == 2


# --- pruning ----------------------------------------------------------------------------------------------------------------------


def checkpoint(run: RunOnDisk, name: str, size: int = 1000) -> Path:
    folder = run.path / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / STATE).write_bytes(os.urandom(size))
    (folder / PROGRESS).write_text("{}")
    return folder


def test_only_what_nothing_needs_is_pruned_and_only_with_yes(capsys: pytest.CaptureFixture[str]) -> None:
    finished = new_run("finished")
    finished.update(status="finished")
    (finished.path / "model").mkdir()
    kept = [checkpoint(finished, "last"), checkpoint(finished, "best")]
    gone = [checkpoint(finished, "previous"), checkpoint(finished, ".new", 300), checkpoint(finished, ".best.old", 10)]
    without_model = new_run("without_model")
    without_model.update(status="finished")
    stopped = new_run("stopped")
    stopped.update(status="stopped")
    for run in (without_model, stopped):
        kept += [checkpoint(run, "last"), checkpoint(run, "previous")]
    kept += [checkpoint(stopped, ".best.new")]  # it was to become the best one, and there is none
    busy = new_run("busy")
    busy.update(status="finished")
    (busy.path / "model").mkdir()
    kept += [checkpoint(busy, "last"), checkpoint(busy, "previous")]
    with RunLock(busy.path):
        assert main(["runs", "--prune"]) == 0
        out = capsys.readouterr().out
        assert [str(path) in out for path in gone] == [True] * 3
        assert [str(path) in out for path in kept] == [False] * len(kept)
        assert out.splitlines()[-1] == "would set 1.3 kB free; gatework runs --prune --yes removes them"
        assert all(path.is_dir() for path in gone)
        assert main(["runs", "--prune", "--yes", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["removed"], result["bytes"]) == (True, 1310 + 2 * 3)
    assert not any(path.exists() for path in gone)
    assert all(path.is_dir() for path in kept)
    with RunLock(busy.path):
        assert main(["runs", "--prune"]) == 0
    assert capsys.readouterr().out == "nothing to prune\n"


def test_what_is_linked_elsewhere_sets_nothing_free(capsys: pytest.CaptureFixture[str]) -> None:
    run = new_run("one")
    run.update(status="finished")
    (run.path / "model").mkdir()
    checkpoint(run, "last")
    previous = checkpoint(run, "previous")
    best = run.path / "checkpoints" / "best"
    best.mkdir()
    os.link(previous / STATE, best / STATE)
    assert main(["runs", "--prune", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 2
