"""``gatework predict``: rows as arguments, from a file or from standard input, whatever the task; and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import framework
from framework.cli.main import main
from framework.errors import DataError
from framework.plugin import Interface, TaskSpec, builds, task
from framework.tasks.task import Task

WORDS = ("recipe=text_generation", "data=text", "data.path=my.txt", "debug=small", "model.layers.gru.units=8", "tracking=none", "name=one")


@pytest.mark.torch
def test_rows_come_as_they_are_given_and_go_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("To be, or not to be.\n" * 400)
    assert main(["train", *WORDS]) == 0
    run = framework.open_run("one")
    wanted = [run.generate(prompt, length=5) for prompt in ("To", "be")]
    capsys.readouterr()

    assert main(["predict", "one", "To", json.dumps({"prompt": "be"}), "--set", "length=5"]) == 0
    both = capsys.readouterr().out.splitlines()
    assert both[0] == wanted[0]  # the second row of a batch has draws of its own
    (tmp_path / "rows.txt").write_text("To\nbe\n")
    assert main(["predict", "one", "--file", "rows.txt", "--set", "length=5"]) == 0
    assert capsys.readouterr().out.splitlines() == both
    monkeypatch.setattr("sys.stdin", io.StringIO("To\n"))
    assert main(["predict", "one", "--json", "--set", "length=5"]) == 0
    assert json.loads(capsys.readouterr().out) == {"text": wanted[0]}

    for words, told in [
        (
            ["To", "--set", "lenght=5"],
            "expected NAME=VALUE with one of length, temperature, top_k, top_p, strategy; did you mean 'length'?",
        ),
        (["To", "--set", "length=x"], "--set length=x: length is of type long"),
        (["To", "--set", "length=0"], "length"),
        (['{"promt": "To"}'], "row 1 has no 'prompt'; it has 'promt'; expected prompt"),
        (["☃"], "'☃'"),
        (["To", "--file", "rows.txt"], "expected one of the two"),
        (["--file", "no.txt"], "--file no.txt cannot be read"),
        (["To", "--seed", "-1"], "--seed is -1; expected 0 or more"),
    ]:
        assert main(["predict", "one", *words]) == 2, words
        said = capsys.readouterr()
        assert told in said.err and not said.out, said.err
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["predict", "one"]) == 2
    assert "there is nothing to predict; expected rows with prompt" in capsys.readouterr().err


def test_a_task_that_says_nothing_is_told_so() -> None:
    with pytest.raises(NotImplementedError, match="Task makes no predictions"):
        Task().predict(None, [], {})  # type: ignore[arg-type]
    Interface({"a": "string"}, {}).check([{"a": "x"}])


def test_two_plugins_of_one_name_are_both_named() -> None:
    class Spec(TaskSpec):
        kind: str = "twice_registered"

    class First(Task): ...

    class Second(Task): ...

    task(Spec)(First)
    with pytest.raises(DataError, match=r"two plug-ins register the task 'twice_registered': .*First and .*Second"):
        task(Spec)(Second)


def test_what_builds_a_layer_is_imported_when_it_is_built_and_a_wrong_place_is_told() -> None:
    from framework.backends.base.layer_builders import LAYER_BUILDERS
    from framework.errors import UnsupportedArgument

    builds("nowhere", torch="no_such_module:Layer")
    with pytest.raises(UnsupportedArgument, match=r"model\.layers\.x\.kind: no_such_module:Layer, which builds it, cannot be imported"):
        LAYER_BUILDERS["torch"].builder("nowhere", "x")
    with pytest.raises(UnsupportedArgument, match="the tensorflow backend builds no kind 'nowhere'"):
        LAYER_BUILDERS["tensorflow"].builder("nowhere", "x")
    with pytest.raises(UnsupportedArgument, match="there is no backend 'jax', only torch and tensorflow"):
        builds("nowhere", jax="a:b")
