"""Checkpoints are checked when they are read, the next one takes the place of a damaged one, and what counts on the disk is on it."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_experiments import Small

import framework
from framework.backends.base.training import Position
from framework.cli.main import main
from framework.engine.run.checkpoint import PROGRESS, STATE, CheckpointStore, Progress
from framework.engine.run.portable import chosen_checkpoint
from framework.errors import CheckpointError


def saved(folder: Path, *steps: int, best: int | None = None) -> CheckpointStore:
    store = CheckpointStore(folder)
    for step in steps:
        progress = Progress(Position(step // 10, step % 10, step), best=0.5, seconds=1.5)
        store.save({"weights/a": np.full(3, step, np.float32)}, progress, best=step == best)
    return store


def alter(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content.pop(key) if value is None else content.update({key: value})
    path.unlink()  # it may be the same file as another checkpoint's
    path.write_text(json.dumps(content))


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-3])


# --- what is read is checked ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    found = saved(tmp_path, 17).load("last")
    assert found.progress == Progress(Position(1, 7, 17), best=0.5, seconds=1.5)
    assert found.state["weights/a"].tolist() == [17, 17, 17]


def test_progress_that_was_altered_is_seen(tmp_path: Path) -> None:
    store = saved(tmp_path, 17)
    alter(tmp_path / "last" / PROGRESS, position={"epoch": 9, "batch": 7, "step": 17})
    with pytest.raises(CheckpointError, match=r"checkpoint\.json was altered after it was written"):
        store.load("last")
    assert store.step("last") is None


def test_a_state_of_another_moment_is_seen(tmp_path: Path) -> None:
    store = saved(tmp_path, 17, 18)
    (tmp_path / "last" / STATE).unlink()
    shutil.copy(tmp_path / "previous" / STATE, tmp_path / "last" / STATE)
    with pytest.raises(CheckpointError, match=r"last/state\.safetensors is not the state that .*checkpoint\.json was written with"):
        store.load("last")


def test_a_checkpoint_of_an_older_version_has_no_checksums_and_is_read(tmp_path: Path) -> None:
    store = saved(tmp_path, 17)
    alter(tmp_path / "last" / PROGRESS, sha256=None, state_sha256=None)
    assert store.load("last").progress.position.step == 17


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"position": None}, "'position' is missing"),
        ({"position": 3}, "'position' is 3"),
        ({"position": {"epoch": 1, "batch": 2}}, r"'position\.step' is missing"),
        ({"position": {"epoch": 1, "batch": -2, "step": 3}}, r"'position\.batch' is -2"),
        ({"position": {"epoch": 1.5, "batch": 2, "step": 3}}, r"'position\.epoch' is 1\.5"),
        ({"position": {"epoch": 10**400, "batch": 2, "step": 3}}, r"'position\.epoch' is 1000"),
        ({"waited": "two"}, "'waited' is 'two'"),
        ({"seconds": float("inf")}, "'seconds' is inf"),
        ({"best": [1]}, "'best' is "),
    ],
)
def test_values_of_wrong_types_are_named_in_one_line(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    store = saved(tmp_path, 17)
    alter(tmp_path / "last" / PROGRESS, sha256=None, **changes)
    with pytest.raises(CheckpointError, match=rf"last/checkpoint\.json is damaged: {says}") as caught:
        store.load("last")
    assert "\n" not in str(caught.value)


# --- the next one takes its place -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damaged", "used"),
    [([], "best"), (["best"], "last"), (["best", "last"], "previous"), (["last"], "best"), (["last", "previous"], "best")],
)
@pytest.mark.parametrize("file", [STATE, PROGRESS])
def test_the_best_whole_checkpoint_is_used(damaged: list[str], used: str, file: str, tmp_path: Path) -> None:
    store = saved(tmp_path, 1, 2, 3, best=1)
    for name in damaged:
        damage(tmp_path / name / file)
    told: list[str] = []
    assert chosen_checkpoint(store, True, told.append).name == used
    before = damaged[: damaged.index("last") + 1] if used == "previous" else damaged if used == "last" else []
    assert [f"{tmp_path / name / file}" in line for name, line in zip(before, told, strict=True)] == [True] * len(before)


def test_where_all_are_damaged_all_are_named(tmp_path: Path) -> None:
    store = saved(tmp_path, 1, 2, 3, best=1)
    for name in ("best", "last", "previous"):
        damage(tmp_path / name / STATE)
    with pytest.raises(CheckpointError, match=r"best/.*last/.*previous/.*start again with resume=never"):
        chosen_checkpoint(store, True, print)
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        chosen_checkpoint(CheckpointStore(tmp_path / "none"), True, print)


VALIDATED = ("data.validation_fraction=0.2", "name=one")


def test_a_damaged_best_checkpoint_blocks_neither_training_nor_use(small: Small, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = framework.train(small(*VALIDATED))
    damage(run.path / "checkpoints" / "best" / STATE)
    shutil.rmtree(run.path / "model")  # as while the run trains
    for verb in (["generate", str(run.path), "--prompt", "ga", "--length", "3"], ["evaluate", str(run.path), f"data.path={text}"]):
        assert main(verb) == 0
        err = " ".join(capsys.readouterr().err.split())
        assert f"warning: {run.path / 'checkpoints' / 'best' / STATE} is truncated" in err
        assert "checkpoint 'last' is used in its place" in err
    assert framework.train(small(*VALIDATED, "trainer.max_epochs=4")).status == "finished"
    assert (run.path / "model").is_dir()


def test_a_damaged_model_of_a_finished_run_has_its_checkpoint_to_take_its_place(small: Small) -> None:
    run = framework.train(small(*VALIDATED))
    text = run.generate("ga", length=8)
    damage(run.path / "model" / "weights.safetensors")
    with pytest.warns(UserWarning, match=r"weights\.safetensors is truncated .*; its checkpoint is used in its place"):
        assert framework.open_run(str(run.path)).generate("ga", length=8) == text


# --- what counts is on the disk ---------------------------------------------------------------------------------------------------


def test_values_are_on_the_disk_before_the_checkpoint_that_counts_on_them(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.name.endswith("state.safetensors") or path.name == "metrics.jsonl":
            synced.append(path.name[-16:])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    framework.train(small("trainer.checkpoint.every_n_steps=2"))
    states = [place for place, name in enumerate(synced) if name != "metrics.jsonl"]
    assert len(states) >= 6
    assert all(synced[place - 1] == "metrics.jsonl" for place in states)


def test_values_that_are_gone_are_told_of(small: Small) -> None:
    class Listener(framework.report.progress.SilentReporter):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warn(self, text: str) -> None:
            self.warnings.append(text)

    run = framework.train(small("name=one"))
    lines = run.folder.metrics.read_text().splitlines(keepends=True)
    steps = [json.loads(line)["step"] for line in lines]
    run.folder.metrics.write_text("".join(lines[: steps.index(9)]))
    listener = Listener()
    framework.train(small("name=one", "trainer.max_epochs=4"), reporter=listener)
    assert [line for line in listener.warnings if "metrics.jsonl ends at step 8, and the checkpoint is of step 18" in line]
    listener = Listener()
    framework.train(small("name=one", "trainer.max_epochs=5"), reporter=listener)
    assert not [line for line in listener.warnings if "ends at step" in line]


def test_a_clock_that_is_set_back_makes_no_negative_time(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    real, begun = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: begun - 10 * (real() - begun))
    run = framework.train(small())
    assert 0 < run.folder.read_record()["wall_seconds"] < 60
    assert all(value >= 0 for _, value in run.metrics()["epoch/seconds"])
