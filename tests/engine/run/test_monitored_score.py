"""A score decides the best epoch: made of held-out sentences, the same on both backends, at no cost to the training's own numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_translations import write_translations

import framework
from framework.backends.base.training import EpochResult
from framework.engine.model.run import Run
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.prepare import build_trainee, prepare_experiment
from framework.engine.run.scores import score_maker
from framework.errors import InputError
from framework.metrics.translation import bleu, chrf
from framework.report.progress import SilentReporter
from framework.spec.experiment import Experiment
from framework.tasks.translation import TranslationTask

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]
WATCHED = ("trainer.checkpoint.monitor=val_bleu", "model.layers.encoder.dropout=0.1", "trainer.max_epochs=4")

Load = Callable[..., Experiment]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    write_translations(tmp_path, longest=5)
    monkeypatch.chdir(tmp_path)
    where = ("data.path=pairs.tsv", "paths.cache_dir=cache")
    return lambda *overrides: framework.load("mine", [*where, *overrides])


class Killed(BaseException):
    """Ends everything, as SIGKILL does."""


class Listener(SilentReporter):
    """Remembers what each epoch measured, and kills after one."""

    def __init__(self, killed_after: int | None = None) -> None:
        self.metrics: list[dict[str, float]] = []
        self.killed_after = killed_after

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        self.metrics.append(metrics)
        if len(self.metrics) == self.killed_after:
            raise Killed


def state(run: Run, name: str = "last") -> dict[str, bytes]:
    """A checkpoint's arrays, but for how long they took."""
    found = CheckpointStore(run.folder.checkpoints).load(name).state
    return {key: value.tobytes() for key, value in found.items() if key != "progress/seconds"}


def recorded(run: Run, timed: bool = False) -> dict[str, list[tuple[int, float]]]:
    return {name: values for name, values in run.metrics().items() if timed or "second" not in name}


@pytest.mark.torch
def test_the_best_checkpoint_has_the_highest_score_and_the_score_is_that_of_its_translations(load: Load) -> None:
    listener = Listener()
    run = framework.train(load(*WATCHED, "trainer.max_epochs=6", "decoding.strategy=beam"), reporter=listener)
    scores = [value for _, value in run.metrics()["epoch/val_bleu"]]
    assert [metrics["val_bleu"] for metrics in listener.metrics] == scores
    assert run.record()["best"] == max(scores) > 5
    assert run.record()["best_epoch"] == scores.index(max(scores)) + 1
    prepared = prepare_experiment(load(*WATCHED))
    examples = list(prepared.data.examples["validation"])
    made = run.translate([one.inputs["source"] for one in examples], strategy="greedy")  # by the best checkpoint
    references = [one.references for one in examples]
    best = run.record()["best_epoch"] - 1
    assert bleu(made, references).value == scores[best]
    assert chrf(made, references).value == run.metrics()["epoch/val_chrf"][best][1]
    assert "| val_bleu |" in (run.path / "report.md").read_text()


@pytest.mark.parametrize("backend", [BACKENDS[0], pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow])])
def test_scores_leave_the_training_as_it_is(backend: str, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WATCHED, f"backend={backend}", "trainer.sample_every_n_epochs=null", "trainer.max_epochs=2"]
    scored = framework.train(load(*words))
    monkeypatch.setattr(TranslationTask, "score", None)  # where nothing asks for a score, none is made
    plain = framework.train(load(*words, "trainer.checkpoint.monitor=auto"))
    assert state(plain) == state(scored)
    values = recorded(scored)
    assert recorded(plain) == {
        name: values[name] for name in values if name not in {"epoch/val_bleu", "epoch/val_chrf", "epoch/val_tokenized_bleu"}
    }


@pytest.mark.parametrize(
    "backend",
    [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow])],
)
def test_a_killed_run_ends_with_the_same_bits_scores_and_best(backend: str, load: Load) -> None:
    words = [
        *WATCHED,
        f"backend={backend}",
        "trainer.checkpoint.every_n_steps=7",
        "trainer.early_stopping={monitor: val_chrf, patience: 9}",
    ]
    words.append("data.order=buckets")  # batches of many shapes
    whole = framework.train(load(*words, "name=whole"))
    for epoch in (1, 2):
        with pytest.raises(Killed):
            framework.train(load(*words, "name=killed"), reporter=Listener(killed_after=epoch))
    killed = framework.train(load(*words, "name=killed"))
    assert state(killed) == state(whole)
    assert state(killed, "best") == state(whole, "best")
    assert recorded(killed) == recorded(whole)
    assert [killed.record()[name] for name in ("best", "best_epoch")] == [whole.record()[name] for name in ("best", "best_epoch")]


@pytest.mark.torch
@pytest.mark.tensorflow
def test_both_backends_score_the_same_weights_alike_and_change_nothing(load: Load) -> None:
    run = framework.train(load(*WATCHED))
    found = {}
    for backend in ("torch", "tensorflow"):
        prepared = prepare_experiment(load(*WATCHED, f"backend={backend}"))
        _, trainee = build_trainee(prepared, run.trainee.weights())
        before = trainee.state()
        scores = score_maker(prepared, trainee)
        found[backend] = scores()
        assert scores() == found[backend]
        assert {name: value.tobytes() for name, value in trainee.state().items()} == {
            name: value.tobytes() for name, value in before.items()
        }
    assert found["torch"] == found["tensorflow"]
    assert found["torch"].keys() == set(TranslationTask.score_names)
    assert found["torch"]["bleu"] == run.record()["best"]


@pytest.mark.torch
def test_only_so_many_sentences_are_translated(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    predict = TranslationTask.predict

    def counted(task: TranslationTask, model: Any, rows: Any, *rest: Any) -> Any:
        asked.append(len(rows))
        return predict(task, model, rows, *rest)

    monkeypatch.setattr(TranslationTask, "predict", counted)
    framework.train(load(*WATCHED, "trainer.limit_scored_examples=3", "trainer.max_epochs=2"))
    assert asked == [1, 3, 3, 3], "one before the training, three an epoch, and three for the table of the best and worst"


@pytest.mark.torch
def test_what_keeps_a_score_from_being_made_is_told_before_the_training(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match=r"val_bleu cannot be monitored: scores of translations need sacreBLEU.*pip install"):
        framework.train(load(*WATCHED, "name=without"))
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainer.checkpoint.monitor=val_blue", "did you mean: val_bleu"),
        ("trainer.checkpoint.monitor=bleu", "did you mean: val_bleu"),
        ("trainer.early_stopping={monitor: val_acuracy}", "did you mean: val_accuracy"),
        ("trainer.early_stopping={monitor: auto}", "expected: one of loss, val_loss, val_perplexity"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(override: str, says: str, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    from framework.cli.main import main

    assert main(["check", "recipe=mine", "data.path=pairs.tsv", override]) == 2
    told = capsys.readouterr().err
    assert f"{override.split('=')[0]}" in told and "no such value" in told and says in told
    assert "Traceback" not in told
