"""A shell completes verbs, options, choices of groups, keys and runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tracking.run_on_disk import RunOnDisk

import framework
from framework.cli.completion import SHELLS, offered
from framework.cli.main import VERBS, main
from framework.console import COMMAND


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(COMMAND, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gatework tra", ["train", "translate"]),
        ("gatework nonsense ", []),
        ("gatework train recipe=text_generation_", ["recipe=text_generation_stateless"]),
        ("gatework train recipe=text_generation model.layers.g", ["model.layers.gru."]),
        ("gatework train recipe=text_generation model.layers.gru.recurrent_i", ["model.layers.gru.recurrent_initializer="]),
        ("gatework train recipe=nonsense model.", []),
        ("gatework train rec", ["recipe="]),
        ("gatework train --mult", ["--multirun"]),
        ("gatework new mine --from first", ["first_text"]),
        ("gatework convert last --to ", ["tensorflow", "torch"]),
        ("gatework export last --format o", ["onnx"]),
        ("gatework completion z", ["zsh"]),
        ('gatework train "recipe=text_generation_', ["recipe=text_generation_stateless"]),
        ("gatework generate ", []),
    ],
)
def test_how_a_line_goes_on(line: str, found: list[str]) -> None:
    assert offered(line) == found


def test_every_verb_is_offered_and_says_what_it_takes() -> None:
    assert {*VERBS} <= {*offered("gatework ")}
    for verb in VERBS:
        assert "--help" in offered(f"gatework {verb} --h"), verb


def test_runs_are_offered_by_name(folder: Path) -> None:
    RunOnDisk(folder / "runs" / "text_generation" / "mine", framework.load("text_generation"))
    (folder / "runs" / "last").write_text("runs/text_generation/mine")
    assert offered("gatework evaluate ") == ["last", "mine", "text_generation/mine"]
    assert offered("gatework compare mine te") == ["text_generation/mine"]


def test_bash_is_given_what_follows_the_sign_that_it_breaks_words_at() -> None:
    assert offered("gatework train recipe=text_generation_", last_part=True) == ["text_generation_stateless"]
    assert offered("gatework train rec", last_part=True) == ["recipe="]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "gatework completion --line" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(folder: Path) -> None:
    program = folder / "gatework"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m framework "$@"\n')
    program.chmod(0o755)
    asked = """
eval "$(./gatework completion bash)"
COMP_LINE="gatework train recipe=text_generation_st" COMP_POINT=40
PATH=$PWD:$PATH _gatework; echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", asked], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "text_generation_stateless\n"


def test_without_a_shell_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 2
    assert "expected one of bash, zsh, fish" in capsys.readouterr().err
