"""What `gatework generate` writes, and what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from framework.cli.main import main


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The steps of a generator that stands in for a trained run's; a test says which."""
    steps: list[list[str]] = []

    class Task:
        def stream(self, model: Any, prompts: list[str], settings: Any, seed: int) -> Iterator[list[str]]:
            assert all(len(step) == len(prompts) for step in steps)
            yield from steps

    model = SimpleNamespace(experiment=None, decoding=lambda **_: SimpleNamespace(prompt="a", length=5))
    monkeypatch.setattr("framework.engine.run.folder.find_run", lambda run, runs: run)
    monkeypatch.setattr("framework.engine.model.opening.open_model", lambda *_: model)
    monkeypatch.setattr("framework.tasks.known.task_of", lambda _: Task())
    return steps


def test_tokens_are_counted_as_they_come(pieces: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """One row still reads its prompt in the first step, and one has ended after the second."""
    pieces += [["b", ""], ["cc", "y"], ["", "z"]]
    assert main(["generate", "last", "--prompt", "a", "--prompt", "xx"]) == 0
    said = capsys.readouterr()
    assert said.out == "--- 1\nabcc\n--- 2\nxxyz\n"
    assert said.err.startswith("4 tokens in ")


def test_one_text_is_written_as_it_appears(pieces: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    pieces += [["b"], ["c"]]
    assert main(["generate", "last"]) == 0
    said = capsys.readouterr()
    assert said.out == "abc\n"
    assert said.err.startswith("2 tokens in ")
