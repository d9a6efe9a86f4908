"""Prompts are taken as they are meant, and shown once they are known to be read."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from framework.cli import generate
from framework.cli.main import _VerbParser, main

WORDS = ("recipe=text_generation", "data=text", "data.path=my.txt", "debug=small", "model.layers.gru.units=8", "tracking=none", "name=one")


def parsed(*words: str) -> argparse.Namespace:
    parser = _VerbParser(allow_abbrev=False)
    generate.add_arguments(parser)
    return parser.parse_intermixed_args(parser.joined(words))


def test_a_prompt_may_begin_with_a_dash() -> None:
    assert parsed("last", "--prompt", "-the").prompt == ["-the"]
    assert parsed("last", "--prompt", "--- 1", "--prompt", "-1", "--num", "2").prompt == ["--- 1", "-1"]
    assert parsed("--prompt=-x", "last").prompt == ["-x"]


def test_an_option_is_no_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("last", "--prompt", "--num=2")
    assert "argument --prompt: expected one argument" in capsys.readouterr().err


@pytest.mark.torch
def test_a_prompt_is_shown_once_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("To be, or not to be.\n" * 400)
    assert main(["train", *WORDS]) == 0
    capsys.readouterr()
    assert main(["generate", "one", "--prompt", "Tö", "--length", "3"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'ö'" in captured.err
    assert main(["generate", "one", "--prompt", "To be\r\n", "--length", "3"]) == 0
    assert capsys.readouterr().out.startswith("To be\r\n")
    assert main(["generate", "one", "--prompt", "To", "--temperature", "0"]) == 2
    assert "strategy=greedy" in capsys.readouterr().err
