"""A run that has ended says what can be done with it, in commands that can be typed as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.console import COMMAND

WORDS = ("data=text", "data.path=my.txt", "debug=small", "tracking=none", "data.sequence_length=10", "decoding.prompt=a text")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my.txt").write_text("a text of words that are learnt\n" * 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(COMMAND, "gatework")
    return tmp_path


@pytest.mark.torch
def test_every_line_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe=text_generation", *WORDS]) == 0
    said = capsys.readouterr().out.splitlines()
    lines = [line.strip() for line in said[said.index("next:") + 1 :]]
    assert [line.split()[1] for line in lines] == ["generate", "evaluate", "explain", "new"]
    assert said[said.index("next:") - 1].removeprefix("report: ") in [str(path) for path in Path().rglob("report.md")]
    for line in lines:
        assert main(shlex.split(line.replace("data.path=FILE", "data.path=my.txt"))[1:]) == 0, line
    assert main(["train", "recipe=mine", "debug=small", "tracking=none"]) == 0
    said = capsys.readouterr().out
    assert " new mine" not in said, "it is the user's own already"
    assert "  gatework explain recipe=mine debug=small tracking=none" in said


@pytest.mark.torch
def test_a_run_elsewhere_is_named_by_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe=text_generation", *WORDS, "paths.runs_dir=other runs", "name=one"]) == 0
    assert "  gatework evaluate 'other runs/text_generation/one'" in capsys.readouterr().out
    assert main(["train", "recipe=text_generation", *WORDS, "paths.runs_dir=other runs", "name=one"]) == 0
    assert "  gatework evaluate 'other runs/text_generation/one'" in capsys.readouterr().out, "also where it was finished before"
