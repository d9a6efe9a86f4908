"""Early stopping ends a training after the same epoch as Lightning's and Keras' own, also over a resume after every epoch."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import framework
from framework.backends.base.objective import Totals
from framework.backends.base.training import EpochResult, Position
from framework.engine.run.checkpoint import Progress
from framework.engine.run.judge import Judge
from framework.engine.run.monitor import Monitor
from framework.errors import TrainingError
from framework.report.progress import SilentReporter
from framework.spec.trainer import CheckpointSpec, EarlyStoppingSpec, TrainerSpec
from framework.tasks.translation import TranslationTask

CURVES: dict[str, list[float]] = {
    "falls": [3.0, 2.5, 2.0, 1.5, 1.0, 0.5],
    "never falls": [2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
    "rises": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
    "falls, waits, falls": [3.0, 3.1, 2.0, 2.1, 2.2, 1.9, 2.0, 2.0, 2.0, 2.0],
    "falls by less than it must": [3.0, 2.95, 2.9, 2.85, 2.8, 2.75, 2.0, 1.99],
    "falls by just so much": [3.0, 2.75, 2.5, 2.25, 2.0],
    "noisy": [3.0 - 0.05 * epoch + random.Random(epoch).uniform(-0.2, 0.2) for epoch in range(30)],
}


class Trainee:
    """Has a state to save, and nothing else."""

    def state(self) -> dict[str, np.ndarray]:
        return {}


class Memory:
    """Keeps a checkpoint's progress as the text that a checkpoint's file would hold, and no values."""

    text = json.dumps(Progress(Position()).as_json())

    def save(self, state: object, progress: Progress, best: bool = False) -> None:
        self.text = json.dumps(progress.as_json())

    def progress(self) -> Progress:
        return Progress.from_json(json.loads(self.text))

    def record(self, step: int, epoch: float, values: object) -> None:
        pass

    def sync(self) -> None:
        pass


def one(loss: float | None) -> Totals | None:
    """Sums of one target."""
    return None if loss is None else Totals({"loss": loss}, 1.0, 1)


def ours(curve: list[float], stopping: EarlyStoppingSpec, resumed: bool) -> int | None:
    """The epoch, counted from 1, after which a training with these values ends; None where it does not."""
    memory = Memory()
    monitor = watching(stopping, memory)
    for epoch, value in enumerate(curve, start=1):
        if resumed:
            monitor = watching(stopping, memory)
        loss, val_loss = (value, None) if stopping.monitor == "loss" else (0.0, value)  # what is described is the loss too
        monitor.on_epoch_end(EpochResult(Position(epoch, 0, epoch), one(loss), one(val_loss), seconds=1.0))
        if monitor.should_stop:
            assert watching(stopping, memory).should_stop, "a kill right after the epoch changes nothing"
            return epoch
    return None


def watching(stopping: EarlyStoppingSpec, memory: Memory) -> Monitor:
    """A monitor that goes on where the memory's checkpoint was written."""
    trainer = TrainerSpec(max_epochs=100, early_stopping=stopping, sample_every_n_epochs=None)
    told: Any = (Trainee().state, memory, memory, SilentReporter(), memory.progress())
    judge = Judge(trainer, TranslationTask(), validates=True)
    monitor = Monitor(trainer, judge, *told, lambda: False, lambda sums: {"accuracy": sums.loss}, dict, lambda epoch: "")
    monitor.on_train_begin(monitor.progress.position, 1)
    return monitor


def by_lightning(curve: list[float], patience: int, min_delta: float, mode: str) -> int | None:
    import torch
    from pytorch_lightning.callbacks import EarlyStopping

    callback = EarlyStopping("value", min_delta=min_delta, patience=patience, mode=mode)
    for epoch, value in enumerate(curve, start=1):
        trainer: Any = SimpleNamespace(
            callback_metrics={"value": torch.tensor(value, dtype=torch.float64)},
            fast_dev_run=False,
            should_stop=False,
            world_size=1,
            current_epoch=epoch - 1,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        )
        callback._run_early_stopping_check(trainer)
        if trainer.should_stop:
            return epoch
    return None


def by_keras(curve: list[float], patience: int, min_delta: float, mode: str) -> int | None:
    import keras

    callback = keras.callbacks.EarlyStopping("value", min_delta=min_delta, patience=patience, mode=mode)
    model: Any = SimpleNamespace(stop_training=False)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {"value": value})
        if model.stop_training:
            return epoch + 1
    return None


ORACLES = [pytest.param(by_lightning, marks=pytest.mark.torch), pytest.param(by_keras, marks=pytest.mark.tensorflow)]


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("resumed", [False, True], ids=["at one go", "resumed after every epoch"])
@pytest.mark.parametrize("monitor", ["loss", "val_loss", "val_accuracy"])
@pytest.mark.parametrize("min_delta", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("patience", [0, 1, 2, 3])
def test_stops_where_lightning_and_keras_stop(oracle: Any, patience: int, min_delta: float, monitor: Any, resumed: bool) -> None:
    stopping = EarlyStoppingSpec(monitor=monitor, patience=patience, min_delta=min_delta)
    sign, mode = (-1, "max") if monitor == "val_accuracy" else (1, "min")  # of an accuracy, the curves upside down
    curves = {name: [sign * value for value in curve] for name, curve in CURVES.items()}
    expected = {name: oracle(curve, patience, min_delta, mode) for name, curve in curves.items()}
    assert {name: ours(curve, stopping, resumed) for name, curve in curves.items()} == expected


def test_the_best_is_among_the_epochs_that_were_validated() -> None:
    judge, progress = Judge(TrainerSpec(check_val_every_n_epoch=2), TranslationTask(), validates=True), Progress(Position())
    for epoch, values in enumerate([{"loss": 3.0}, {"loss": 2.0, "val_loss": 4.0}, {"loss": 1.0}, {"loss": 0.5, "val_loss": 3.0}], start=1):
        progress = judge.judged(progress, values, epoch)
        assert progress.best_epoch == (None, 2, 2, 4)[epoch - 1]
    assert progress.best == 3.0
    unvalidated = Judge(TrainerSpec(), TranslationTask(), validates=False)
    assert unvalidated.judged(Progress(Position()), {"loss": 3.0}, 1).best == 3.0


def test_a_validation_without_what_is_monitored_is_no_reason_to_go_on() -> None:
    judge = Judge(TrainerSpec(checkpoint=CheckpointSpec(monitor="val_accuracy")), TranslationTask(), validates=True)
    assert judge.judged(Progress(Position()), {"loss": 3.0}, 1).best is None
    with pytest.raises(TrainingError, match="the validation gave no val_accuracy, which is monitored; it gave loss, val_loss"):
        judge.judged(Progress(Position()), {"loss": 3.0, "val_loss": 3.0}, 1)


def test_an_epoch_without_validation_is_not_counted() -> None:
    monitor = watching(EarlyStoppingSpec(monitor="val_loss", patience=1), Memory())
    for epoch, value in enumerate([2.0, None, None, 1.0, None, 1.5], start=1):
        assert not monitor.should_stop
        monitor.on_epoch_end(EpochResult(Position(epoch, 0, epoch), one(0.0), one(value), 1.0))
    assert monitor.should_stop


@pytest.mark.torch
def test_a_run_that_stops_early_says_so_and_ends_there(small: Any) -> None:
    stopping = ("trainer.early_stopping.monitor=loss", "trainer.early_stopping.patience=1", "trainer.early_stopping.min_delta=50")
    listener = Listener()
    run = framework.train(small(*stopping, "trainer.max_epochs=10"), reporter=listener)
    assert run.record()["epochs"] == 2
    best = run.record()["best_epoch"]
    assert f"stopped early after epoch 2, best was {best}" in listener.lines
    again = Listener()
    framework.train(small(*stopping, "trainer.max_epochs=10"), reporter=again)
    assert again.lines == [f"run {run.path} is finished: it stopped early after epoch 2, best was {best}; resume=never starts a new one"]


@pytest.mark.torch
def test_a_kill_after_the_last_epoch_of_an_early_stop_trains_no_further(small: Any) -> None:
    stopping = ("trainer.early_stopping.monitor=loss", "trainer.early_stopping.patience=1", "trainer.early_stopping.min_delta=50")
    words = (*stopping, "trainer.max_epochs=10", "name=one")
    with pytest.raises(Killed):
        framework.train(small(*words), reporter=Listener(killed_after=2))
    listener = Listener()
    run = framework.train(small(*words), reporter=listener)
    assert run.status == "finished"
    assert run.record()["epochs"] == 2
    assert run.record()["stopped_early"] is True
    assert listener.epochs == []


class Killed(BaseException):
    """Ends everything, as SIGKILL does."""


class Listener(SilentReporter):
    """Remembers what it is told."""

    def __init__(self, killed_after: int | None = None) -> None:
        self.lines: list[str] = []
        self.epochs: list[int] = []
        self.killed_after = killed_after

    def message(self, text: str) -> None:
        self.lines.append(text)

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        self.epochs.append(result.position.epoch)
        if result.position.epoch == self.killed_after:
            raise Killed
