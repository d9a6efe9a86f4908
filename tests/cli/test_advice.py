"""What a message advises works when it is followed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import framework
from framework.cli.main import main
from framework.engine.run.prepare import prepare_experiment
from framework.errors import GateworkError

TEXT = "The gate is shut, the state is kept; reset it, and it forgets.\n" * 120


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text(TEXT)
    (tmp_path / "wide.txt").write_text(TEXT, encoding="utf-16")
    (tmp_path / "short.txt").write_text("To be, or not to be")
    texts = tmp_path / "texts" / "below"
    texts.mkdir(parents=True)
    (texts / "a.txt").write_text(TEXT)
    (texts / "b.bin").write_bytes(b"ab\0cd")
    return tmp_path


OWN = ("data=text", "debug=small", "data.sequence_length=10")
CASES: dict[str, tuple[list[str], str, list[str]]] = {
    "another declared size": (
        ["data=python_source", "data.declared_sizes.tokens=5"],
        r"set (data\.declared_sizes\.tokens=\d+) if this is the data that is meant",
        [],
    ),
    "no declared size": (
        ["data=python_source", "data.declared_sizes.tokens=5"],
        r"take the declaration out with '(~data\.declared_sizes\.tokens)'",
        [],
    ),
    "the file's encoding": ([*OWN, "data.path=wide.txt"], r"set (data\.encoding=\S+)", []),
    "a glob of texts": ([*OWN, "data.path=texts"], r"a glob such as (data\.path='texts/\*\*/\*\.txt')", []),
    "the nearest file": ([*OWN, "data.path=mi.txt"], r"did you mean: (my\.txt)", ["data.path={}"]),
    "left-out tokens": ([*OWN, "data.path=my.txt", "data.max_vocabulary=5"], r"set (data\.unknown=replace)", []),
    "a shuffle of contiguous windows": (
        [*OWN, "data.path=my.txt", "data.order=contiguous", "data.shuffle_buffer=5"],
        r"set (data\.order=shuffled)",
        [],
    ),
    "smaller windows": (
        [*OWN, "data.path=short.txt"],
        r"(lower data\.batch_size or data\.sequence_length)",
        ["data.batch_size=1", "data.sequence_length=2"],
    ),
    "another data set": (["data=text"], r"choose (data=python_source)", []),
    "full batches": ([*OWN, "data.path=my.txt", "data.drop_remainder=false"], r"set (data\.drop_remainder=true)", []),
    "a fixed batch": (
        [*OWN, "data.path=my.txt", "model.inputs.tokens.batch_size=null"],
        r"set (model\.inputs\.tokens\.batch_size) to (?:\$\{data\.batch_size\})",
        ["{}=${{data.batch_size}}"],
    ),
    "held-out data": (
        [*OWN, "data.path=my.txt", "trainer.early_stopping.monitor=val_loss"],
        r"set (data\.validation_fraction)",
        ["{}=0.2"],
    ),
    "monitoring the loss": (
        [*OWN, "data.path=my.txt", "trainer.checkpoint.monitor=val_loss"],
        r"or monitor (loss)",
        ["trainer.checkpoint.monitor={}"],
    ),
    "an output for each step": (
        [*OWN, "data.path=my.txt", "model.layers.gru.return_sequences=false"],
        r"set (return_sequences: true) in the last recurrent layer",
        ["model.layers.gru.return_sequences=true"],
    ),
    "a layer's state": (
        [
            *OWN, "data.path=my.txt", "model.layers.second={kind: gru, inputs: embedding, units: 32, return_sequences: true}",
            "model.layers.logits.inputs=second", "model.layers.second.initial_state=gru.state",
        ],
        r"set (model\.layers\.gru\.return_state)",
        ["{}=true"],
    ),
}  # fmt: skip


def prepared(words: list[str]) -> str | None:
    """What is wrong with a config and its data; None when nothing is."""
    try:
        prepare_experiment(framework.load("text_generation", words))
    except GateworkError as error:
        return str(error)
    return None


@pytest.mark.parametrize("case", CASES)
def test_a_hint_helps(case: str) -> None:
    words, hint, followed = CASES[case]
    message = prepared(words)
    assert message is not None
    found = re.search(hint, message)
    assert found is not None, message
    advised = [word.format(found[1]) for word in followed] or shlex.split(found[1])
    assert prepared([*words, *advised]) is None


def advised(out: str) -> list[list[str]]:
    """The command lines that ``new`` has printed, as words."""
    return [shlex.split(line) for line in out.partition("next:\n")[2].splitlines()]


@pytest.mark.parametrize(("into", "called"), [(None, None), ("my configs", None), (None, "../gate work/scripts/run")])
def test_what_new_advises_next(
    into: str | None, called: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if called is not None:
        monkeypatch.setenv("GATEWORK_COMMAND", called)
    assert main(["new", "mine", "data.path=my.txt", *(["--into", into] if into else [])]) == 0
    check, train = advised(capsys.readouterr().out)
    assert (check[:2], train[:2]) == ([called or "gatework", "check"], [called or "gatework", "train"])
    assert main(check[1:]) == 0
    assert main(["check", *train[2:]]) == 0


def test_what_new_advises_before_the_data_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mine"]) == 0
    out = capsys.readouterr().out
    first = re.search(r"first say in (\S+) where your data lies, or add (data\.path=)FILE to each command\n", out)
    assert first is not None
    check, _ = advised(out)
    assert main([*check[1:], f"{first[2]}my.txt"]) == 0
    assert main(check[1:]) == 2
    Path(first[1]).write_text(Path(first[1]).read_text().replace("path: null", "path: my.txt"))
    assert main(check[1:]) == 0


@pytest.mark.parametrize("more", [[], ["mine"], ["--runs-dir", "my runs"], ["mine", "--runs-dir", "my runs"]])
def test_pruning_removes_what_was_listed(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    left = [Path(folder) / recipe / "one" for folder in ("runs", "my runs") for recipe in ("mine", "other")]
    for run in left:
        for name in ("last", "previous"):
            (run / "checkpoints" / name).mkdir(parents=True)
            (run / "checkpoints" / name / "checkpoint.json").write_text("{}")
        (run / "model").mkdir()
        (run / "run.json").write_text('{"format": 1, "status": "finished"}')
    assert main(["runs", "--prune", *more]) == 0
    out = capsys.readouterr().out
    listed = {Path(line.strip().split("  ")[1]) for line in out.splitlines()[:-1]}
    assert listed
    assert main(shlex.split(out.splitlines()[-1].partition("; ")[2].removesuffix(" removes them"))[1:]) == 0
    gone = {run.absolute() / "checkpoints" / "previous" for run in left if not (run / "checkpoints" / "previous").exists()}
    assert gone == listed


Train = Callable[..., tuple[int, str]]


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Train:
    """Trains a little; gives the exit code and all that was said."""

    def run(*words: str) -> tuple[int, str]:
        base = ["recipe=text_generation", *OWN, "data.path=my.txt", "model.layers.gru.units=6", "tracking=none"]
        code = main(["train", *base, *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.torch
def test_the_ways_out_of_a_conflict(train: Train) -> None:
    assert train("name=one")[0] == 0
    code, said = train("name=one", "seed=3")
    assert (code, "start another run with another name=…, or with resume=never" in said) == (2, True)
    assert train("name=two", "seed=3")[0] == 0
    assert train("name=one", "seed=3", "resume=never")[0] == 0


@pytest.mark.torch
def test_the_way_back_after_a_failure(train: Train) -> None:
    code, said = train("name=one", "model.layers.embedding.output_dim=256", "optimizer.learning_rate=1e30")
    assert code == 1
    assert "a lower optimizer.learning_rate" in said
    assert "trainer.checkpoint.every_n_steps=100 writes one within an epoch" in said
    assert "it is another run, which needs another name=…, or resume=never" in said
    better = ("optimizer.learning_rate=0.001", "trainer.checkpoint.every_n_steps=100")
    assert train("name=one", *better)[0] == 2
    assert train("name=one", *better, "resume=never")[0] == 0
    code, said = train("optimizer.learning_rate=1e30")
    assert (code, "resume=never" in said) == (1, False)
    assert train(*better)[0] == 0, "a run without a name is another one with other settings"


@pytest.mark.torch
def test_the_way_on_from_damaged_checkpoints(train: Train) -> None:
    assert train("name=one")[0] == 0
    for state in Path("runs/text_generation/one/checkpoints").glob("*/state.safetensors"):
        state.unlink()
        state.write_bytes(b"nothing")
    code, said = train("name=one", "trainer.max_epochs=2")
    assert (code, "start again with resume=never" in said) == (1, True)
    assert train("name=one", "trainer.max_epochs=2", "resume=never")[0] == 0


@pytest.mark.torch
def test_held_out_data_for_a_run_without(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train()[0] == 0
    assert main(["evaluate", "last", "--split", "validation"]) == 2
    assert "ask for --split train" in capsys.readouterr().err
    assert main(["evaluate", "last", "--split", "train"]) == 0
