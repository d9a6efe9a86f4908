"""What a new user gets wrong, and the one message that each slip gets: what was wrong, where, what was expected, the nearest valid name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.cli.main import main

TRAIN = ("train", "recipe=text_generation")
SMALL = ("debug=small", "model.layers.gru.units=8", "tracking=none")
OWN = (*TRAIN, "data=text", "data.path=my.txt", "data.sequence_length=20", *SMALL)
OFFLINE = (*TRAIN, "data=python_source", *SMALL)
Before = Callable[[Path], Any] | None


def file(name: str, content: bytes | str) -> Callable[[Path], Any]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def recipe(content: str) -> Callable[[Path], Any]:
    return file("configs/recipe/mine.yaml", "# @package _global_\ndefaults:\n  - text_generation\n  - _self_\n" + content)


CASES: dict[str, tuple[Before, tuple[str, ...], tuple[str, ...]]] = {
    "a command": (None, ("trian",), ("no command 'trian'", "did you mean train?")),
    "a config group": (
        None,
        (*TRAIN, "optimiser=adam"),
        ("unknown key 'optimiser'", "override `", "did you mean: optimizer"),
    ),
    "an option": (None, (*TRAIN, "optimizer=adm"), ("no optimizer 'adm'", "one of adam, adamw, rmsprop, sgd", "did you mean: adam")),
    "a key": (None, (*TRAIN, "trainer.checkpoint.every_n_step=3"), ("unknown key 'every_n_step'", "did you mean: every_n_steps")),
    "a layer": (None, (*TRAIN, "model.layers.gruu.units=3"), ("no layer 'gruu'", "one of embedding, gru, logits", "did you mean: gru")),
    "a flag": (None, ("generate", "last", "--temprature", "1"), ("unrecognized arguments: --temprature", "did you mean --temperature?")),
    "no equals sign": (None, (*TRAIN, "seed"), ("'seed' sets nothing", "expected: key=value")),
    "several values": (None, (*TRAIN, "seed=1,2"), ("several values for one run", "one value, or -m for a run with each")),
    "a sweep's setting": (None, (*TRAIN, "sweep=optuna", "hydra.sweeper.n_trial=3"), ("Hydra has no setting 'hydra.sweeper.n_trial'",)),
    "an interpolation": (None, (*TRAIN, "seed=${trainer.max_epoch}"), ("no key 'trainer.max_epoch'", "mean: trainer.max_epochs")),
    "a corpus that is missing": (None, OWN, ("data.path: 'my.txt' does not exist",)),
    "a binary corpus": (
        file("my.txt", bytes(range(256)) * 99),
        OWN,
        ("no utf-8 text: the byte at offset 0 is NUL", "data.encoding"),
    ),
    "an empty corpus": (file("my.txt", ""), OWN, ("the text is empty",)),
    "a short corpus": (file("my.txt", "short"), OWN, ("gives 5 tokens for training, which needs at least 84", "lower data.batch_size")),
    "a folder without text": (lambda folder: (folder / "my.txt").mkdir(), OWN, ("folder 'my.txt' holds no file",)),
    "a glob": (None, (*TRAIN, "data=text", "data.path=*.text"), ("glob '*.text' matches no file", "write '**' for folders at any depth")),
    "an encoding": (file("my.txt", "a" * 999), (*OWN, "data.encoding=utf9"), ("unknown encoding 'utf9'", "such as utf-8")),
    "a negative size": (None, (*TRAIN, "model.layers.gru.units=-3"), ("value: -3", "a whole number above 0")),
    "no epochs": (None, (*TRAIN, "trainer.max_epochs=0"), ("trainer.max_epochs: value not accepted", "a whole number above 0")),
    "text for a number": (None, (*TRAIN, "data.batch_size=many"), ("data.batch_size: value not accepted", "value: 'many'")),
    "half a batch": (None, (*TRAIN, "data.batch_size=6.5"), ("value: 6.5", "a whole number above 0")),
    "a rate above 1": (None, (*TRAIN, "model.layers.gru.dropout=2"), ("model.layers.gru.dropout", "at least 0 and up to 1")),
    "a learning rate": (None, (*TRAIN, "optimizer.learning_rate=-1"), ("optimizer.learning_rate", "a number above 0")),
    "an infinite learning rate": (None, (*TRAIN, "optimizer.learning_rate=inf"), ("value: inf", "a number above 0, not infinite")),
    "a decay that is no number": (None, (*TRAIN, "optimizer.beta_1=nan"), ("value: nan", "not infinite or undefined")),
    "an infinite setting": (
        None,
        (*TRAIN, "model.layers.gru.kernel_regularizer={class_name:l2,config:{l2:inf}}"),
        ("setting 'l2' of 'l2' is inf",),
    ),
    "a number beyond counting": (None, (*TRAIN, f"data.batch_size={10**30}"), ("a number too large to count with",)),
    "a word for a boolean": (None, (*TRAIN, "data.drop_remainder=off"), ("value: 'off'", "did you mean: false")),
    "a name of 300 letters": (None, (*OFFLINE, f"name={'n' * 300}"), ("a name of 300 bytes", "at most 240 bytes")),
    "a name of 130 letters of two bytes": (None, (*OFFLINE, f"name=a{'ä' * 130}"), ("a name of 261 bytes",)),
    "an option of 300 letters": (None, ("train", f"recipe={'n' * 300}"), ("no recipe 'nnn",)),
    "a key of 300 letters": (None, (*TRAIN, f"{'n' * 300}=1"), ("the key has more than 200 characters",)),
    "a key of many parts": (None, (*TRAIN, f"{'.'.join('a' * 90)}=1"), ("the key has more than 200 characters or 50 parts",)),
    "brackets without end": (None, (*TRAIN, f"seed={'[' * 400}"), ("brackets lie more than 50 deep",)),
    "mappings without end": (None, (*TRAIN, f"seed={'{a:' * 400}1{'}' * 400}"), ("brackets lie more than 50 deep",)),
    "interpolations without end": (None, (*TRAIN, f"decoding.prompt={'${seed}' * 200}"), ("more than 100 interpolations",)),
    "a list without end": (None, (*TRAIN, f"seed=[{'1,' * 5000}1]"), ("the value has more than 1,000 parts",)),
    "a file name that is no UTF-8": (None, (*TRAIN, "data.path=\udcff.txt"), ("no UTF-8 text", "give the file another name")),
    "a multirun without end": (None, (*TRAIN, "-m", "seed=range(1,1000000000)"), ("999,999,999 jobs", "10,000 at most")),
    "a multirun of many of many": (
        None,
        (*TRAIN, "-m", "seed=range(0,1000)", "data.batch_size=range(1,1000)"),
        ("999,000 jobs: seed has 1,000 values, data.batch_size has 999 values",),
    ),
    "a search without trials": (
        None,
        (*TRAIN, "sweep=optuna", "hydra.sweeper.n_trials=0"),
        ("hydra.sweeper.n_trials: value not accepted", "override `hydra.sweeper.n_trials=0`", "a whole number above 0"),
    ),
    "no jobs at a time": (
        None,
        (*TRAIN, "-m", "seed=1,2", "hydra.launcher.n_jobs=0"),
        ("hydra.launcher.n_jobs: value not accepted", "a whole number above 0"),
    ),
    "the recipe last": (recipe("recipe: last\n"), ("train", "recipe=mine"), ("'last' means the latest run", "mine.yaml:5")),
    "a new recipe called last": (None, ("new", "last"), ("'last' cannot be a recipe's name",)),
    "a new recipe of 300 letters": (None, ("new", "n" * 300), ("cannot be a recipe's name", "100 at most")),
    "Hydra's own values": (None, (*TRAIN, "name=${hydra:job.num}"), ("Hydra's own values cannot be used here",)),
    "a folder of Hydra's": (None, (*TRAIN, "hydra.run.dir=x"), ("Gatework does not offer", "hint: a run's folder follows from")),
    "temperature 0": (
        None,
        (*TRAIN, "decoding.temperature=0"),
        ("no token can be drawn at temperature 0", "strategy=greedy, which always takes the most likely token"),
    ),
    "an activation": (None, (*TRAIN, "model.layers.gru.activation=tanhh"), ("unknown activation 'tanhh'", "did you mean: tanh")),
    "an initializer": (
        None,
        (*TRAIN, "model.layers.gru.kernel_initializer=glorot"),
        ("unknown initializer 'glorot'", "glorot_normal"),
    ),
    "wiring": (None, (*TRAIN, "model.layers.logits.inputs=gruu"), ("no layer or model input 'gruu'", "did you mean: gru")),
    "a layer that nothing reads": (None, (*TRAIN, "model.outputs=gru"), ("model.layers.logits: nothing reads this layer", ".yaml:24")),
    "logits of another width": (
        None,
        (*OFFLINE, "model.layers.logits.units=7"),
        ("gives 7 logits a step", "expected: 96"),
    ),
    "a kind of layer": (None, (*TRAIN, "model.layers.gru.kind=lstm"), ("unknown kind 'lstm'", "expected: one of ")),
    "stateful without a batch": (None, (*TRAIN, "model.inputs.tokens.batch_size=null"), ("a stateful layer needs a fixed batch",)),
    "a backend": (None, (*TRAIN, "backend=jax"), ("no backend 'jax'", "one of tensorflow, torch")),
    "a device": (None, (*TRAIN, "backend.device=cuda"), ("backend.device: value not accepted", "one of auto, cpu, gpu")),
    "a precision": (None, (*TRAIN, "trainer.precision=16"), ("trainer.precision", "one of 32-true, 64-true, bf16-mixed")),
    "a fraction": (None, (*TRAIN, "data.validation_fraction=1.5"), ("at least 0 and below 1",)),
    "stopping by what is not measured": (
        None,
        (*OFFLINE, "trainer.early_stopping={monitor:val_loss}"),
        ("there is no validation", "set data.validation_fraction, or monitor loss"),
    ),
    "a file where the run should be": (
        file("runs/text_generation/x", ""),
        (*OFFLINE, "name=x"),
        ("runs/text_generation/x is a file; a run needs a folder there",),
    ),
    "a file where all runs should be": (file("runs", ""), (*OFFLINE, "name=x"), ("runs is a file; a run needs a folder there",)),
    "a name": (None, (*OFFLINE, "name=a/../b"), ("name: value not accepted", "value: 'a/../b'")),
    "a newer config": (None, (*TRAIN, "spec_version=99"), ("written by a newer Gatework", "install a newer gatework")),
    "nothing to go on with": (None, (*OFFLINE, "resume=must"), ("resume=must, but there is no run to go on with",)),
    "YAML": (recipe("seed: [1\n"), ("train", "recipe=mine"), ("the YAML cannot be read", "configs/recipe/mine.yaml:")),
    "a key twice": (
        recipe("seed: 1\nseed: 2\n"),
        ("train", "recipe=mine"),
        ("'seed' stands twice", "mine.yaml:6", "in line 5"),
    ),
    "a config folder": (None, (*TRAIN, "--config-dir", "nowhere"), ("no config folder 'nowhere'",)),
    "no run yet": (None, ("generate", "last"), ("no run yet",)),
    "a run's name": (None, ("evaluate", "abc"), ("no run 'abc'", "there are no runs yet")),
    "another backend": (None, ("convert", "last", "--to", "jax"), ("there is no backend 'jax', only torch and tensorflow",)),
    "a name that is taken": (
        lambda folder: main(["new", "mine"]),
        ("new", "mine"),
        ("'mine' is taken by configs/recipe/mine.yaml",),
    ),
    "a recipe's name": (None, ("new", "my model"), ("'my model' cannot be a recipe's name",)),
    "a recipe to begin with": (None, ("new", "mine", "--from", "text_gen"), ("no recipe 'text_gen'", "did you mean: text_generation")),
}


@pytest.mark.parametrize(("before", "words", "says"), CASES.values(), ids=CASES.keys())
def test_a_slip_gets_one_clear_message(
    before: Before, words: tuple[str, ...], says: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if before is not None:
        before(tmp_path)
        capsys.readouterr()
    there = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    try:
        code = main(list(words))
    except SystemExit as ended:
        code = int(str(ended.code))
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    for text in says:
        assert text in captured.err
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == there, "nothing is written, nothing lost"
