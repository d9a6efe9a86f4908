"""What is printed may be lost, but never ends a piece of work; what was asked for is told when it cannot be printed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from framework.cli.main import main
from framework.console import OutputError, ReaderGone, showing


class Broken(io.StringIO):
    """A stream that fails in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise self.error


FAILURES = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(28, "No space left on device"),
    OSError(5, "Input/output error"),
    ValueError("closed"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_display_is_silent_once_it_is_lost(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Broken(failure), Broken(failure)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with showing(display=True):
        for _ in range(3):
            print("news")
            print("trouble", file=sys.stderr)
            Console().print("[b]news[/b]", Table("a", "b"))
            sys.stdout.flush()
    assert (out.tries, err.tries) == (1, 1)
    assert (sys.stdout, sys.stderr) == (out, err)


@pytest.mark.parametrize(("failure", "raised"), [(FAILURES[0], ReaderGone), (FAILURES[1], OutputError), (FAILURES[3], OutputError)])
@pytest.mark.parametrize("way", [print, lambda text: Console().print(text)], ids=["print", "rich"])
def test_an_answer_that_cannot_be_printed_is_told(failure: Exception, raised: type[Exception], way: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(failure))
    with pytest.raises(raised), showing(display=False):
        way("news")


@pytest.mark.parametrize("display", [True, False])
def test_characters_that_the_encoding_lacks_are_replaced(display: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii", write_through=True))
    with showing(display=display):
        print("a │ b \udcff")
        Console().print("é…")
    assert held.getvalue() == b"a ? b ?\n??\n"


def test_within_a_display_a_part_of_the_work_shows_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Broken(FAILURES[0])
    monkeypatch.setattr(sys, "stdout", out)
    with showing(display=True):
        with showing(display=False):
            print("news")
        print("news")


def test_streams_that_are_not_there_take_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with showing(display=True):
        print("news")
        print("trouble", file=sys.stderr)
        Console().print("news")


@pytest.mark.parametrize(("failure", "code"), [(FAILURES[0], 0), (FAILURES[1], 1)], ids=str)
def test_a_light_verb_ends_with(failure: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Broken(failure))
        assert main(["schema"]) == code
    assert capsys.readouterr().err == ("error: cannot write the output: No space left on device\n" if code else "")


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of shell in which ``gatework`` is the command; its exit code is the first command's."""
    begin = f'set -o pipefail; gatework() {{ "{sys.executable}" -m framework "$@"; }}; '
    package = str(Path(__file__).parents[1])
    return subprocess.run(
        ["bash", "-c", begin + line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": package, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "verb", ["--help", "train --help", "schema", "explain recipe=text_generation", "train --cfg job recipe=text_generation"]
)
def test_answers_into_a_pipe_that_nobody_reads(verb: str, tmp_path: Path) -> None:
    done = shell(f"gatework {verb} | true", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_answer_onto_a_full_disk(tmp_path: Path) -> None:
    done = shell("gatework schema > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: cannot write the output: No space left on device\n")


def test_an_error_that_nobody_hears_keeps_its_exit_code(tmp_path: Path) -> None:
    assert shell("gatework train recipe=nothing >&- 2>&-", tmp_path).returncode == 2
    assert shell("gatework train recipe=nothing 2>/dev/full >/dev/full", tmp_path).returncode == 2
