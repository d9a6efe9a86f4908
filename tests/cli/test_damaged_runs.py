"""A run's folder that is damaged: one line says what is wrong in which file, and the other runs are there as ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.cli.main import main
from framework.data.vocabulary import Vocabulary

WORDS = ("recipe=text_generation", *RECIPE, "tracking=none")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole run and one to damage."""
    monkeypatch.chdir(tmp_path)
    experiment = framework.load("text_generation", overrides=[*RECIPE])
    for name in ("whole", "bad"):
        run = RunOnDisk(tmp_path / "runs" / "text_generation" / name, experiment)
        run.measure(1, 3)
        run.recorder.record(3, 1.0, {"epoch/loss": 2.0, "epoch/seconds": 1.5})
        run.recorder.close()
        del run.record["data_digest"]
        run.update()
    return tmp_path / "runs" / "text_generation"


def wrong(file: str, **changes: Any) -> Callable[[Path], None]:
    """Sets values of a JSON file."""

    def change(run: Path) -> None:
        content = json.loads((run / file).read_text()) if (run / file).exists() else {}
        (run / file).write_text(json.dumps({**content, **changes}))

    return change


def holds(file: str, content: bytes) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / file).write_bytes(content)

    return write


def folder(file: str) -> Callable[[Path], None]:
    def make(run: Path) -> None:
        (run / file).unlink(missing_ok=True)
        (run / file).mkdir()

    return make


UNREADABLE = {
    "a list": (holds("run.json", b"[]"), "it holds a list; expected a mapping"),
    "format": (wrong("run.json", format="1"), "'format' is '1'"),
    "a newer format": (wrong("run.json", format=99), "was written by a newer Gatework (format 99)"),
    "settings": (wrong("run.json", settings=[1]), "'settings' is [1]"),
    "trainer": (wrong("run.json", settings={"trainer": 3}), "'settings.trainer' is 3; expected a mapping"),
    "epochs": (wrong("run.json", epochs="three"), "'epochs' is 'three'"),
    "a huge number": (wrong("run.json", epochs=10**400), "'epochs' is 1000"),
    "time": (wrong("run.json", started="yesterday"), "'started' is 'yesterday'"),
    "no number": (wrong("run.json", wall_seconds=float("nan")), "'wall_seconds' is nan"),
    "status": (wrong("run.json", status={"a": 1}), "'status' is {'a': 1}"),
    "half a character": (wrong("run.json", error="\ud800"), "it holds half of a character"),
    "bytes": (holds("run.json", b"\xff\xfe"), "cannot read"),
    "digits": (holds("run.json", b'{"epochs": ' + b"9" * 5000 + b"}"), "cannot read"),
    "depth": (holds("run.json", b"[" * 50_000), "nested more than 200 levels deep"),
    "cut": (holds("run.json", b'{"format": 1'), "cannot read"),
}
READABLE = {
    "a note": (wrong("tracking.json", run_id=3), "'run_id' is 3"),
    "a folder for a note": (folder("tracking.json"), "tracking.json: Is a directory"),
    "a line": (holds("metrics.jsonl", b'{"step": 1}\n{"epoch/loss": [1]}\n'), "'step' is missing"),
    "a folder for values": (folder("metrics.jsonl"), "metrics.jsonl: Is a directory"),
}


@pytest.mark.parametrize("damage", [*UNREADABLE, *READABLE])
def test_the_list_shows_all_runs_and_says_what_is_wrong_with_one(damage: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hurt, says = {**UNREADABLE, **READABLE}[damage]
    hurt(runs / "bad")
    assert main(["runs", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(out)}
    assert (rows["whole"]["loss"], rows["whole"]["trouble"]) == (2.0, None)
    assert (rows["bad"]["status"] == "unreadable") == (damage in UNREADABLE)
    assert says in rows["bad"]["trouble"]
    assert [line for line in err.splitlines() if line.startswith("warning: run text_generation/bad: ") and says in line]
    assert main(["runs"]) == 0
    assert main(["runs", "--prune", "--yes"]) == 0


@pytest.mark.parametrize("damage", UNREADABLE)
@pytest.mark.parametrize(
    "verb",
    [
        ("train", *WORDS, "name=bad"),
        *(pytest.param((verb, "bad"), marks=pytest.mark.slow, id=verb) for verb in ("generate", "evaluate", "sync")),
    ],
    ids=lambda verb: verb[0],
)
def test_commands_name_the_file_in_one_line(verb: tuple[str, ...], damage: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hurt, says = UNREADABLE[damage]
    hurt(runs / "bad")
    assert main(list(verb)) == 2
    err = capsys.readouterr().err
    assert says in err
    assert str(runs / "bad") in err
    assert len(err.splitlines()) == 1


def test_a_note_that_cannot_be_read_hides_no_other_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong("tracking.json", run_id=[1])(runs / "bad")
    wrong("tracking.json", run_id="abc")(runs / "whole")
    assert framework.open_run("abc").path == runs / "whole"


@pytest.mark.parametrize("content", [b"\xff", b"\x00", b"x" * 5000])
def test_a_damaged_mark_of_the_last_run_is_named(content: bytes, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs.parent / "last").write_bytes(content)
    assert main(["generate", "last"]) == 2
    assert f"cannot read {runs.parent / 'last'}" in capsys.readouterr().err


def test_links_are_not_written_through(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept\n")
    for name in ("metrics.jsonl", ".run.json.part", "tracking.json"):
        (runs / "bad" / name).unlink(missing_ok=True)
        (runs / "bad" / name).symlink_to(outside)
        for verb in (["train", *WORDS, "name=bad"], ["sync", "bad"]):
            assert main(verb) == 2
            assert f"{runs / 'bad' / name} is a link to {outside}" in capsys.readouterr().err
        (runs / "bad" / name).unlink()
    shutil.rmtree(runs / "bad" / "config")
    (runs / "bad" / "config").symlink_to(tmp_path)
    assert main(["train", *WORDS, "name=bad"]) == 2
    assert outside.read_text() == "kept\n"
    assert not (tmp_path / "resolved.yaml").exists()


def test_a_vocabulary_that_is_not_the_models_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = framework.train(framework.load("text_generation", overrides=[*RECIPE, "tracking=none", "name=one"]))
    path = run.path / "model" / "vocabulary.json"
    tokens = Vocabulary.load(path).tokens
    Vocabulary.of([*tokens, "\u2603"]).save(path)
    assert main(["generate", "one"]) == 2
    said = capsys.readouterr().err
    assert f"what {path.parent} keeps of its data ({len(tokens) + 1} tokens) is not the model's" in said
    assert f"gives {len(tokens)} logits a step, expected {len(tokens) + 1}" in said
