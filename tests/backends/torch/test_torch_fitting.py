"""What a training tells, where it starts and stops, and what may go wrong in it."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import ROWS, TIME, Listener, Windows, Workshop, language_model

from framework.backends.base.training import Position
from framework.data.limit import limit
from framework.errors import InputError, TrainingError
from framework.spec.optimizer import SGDSpec

pytestmark = pytest.mark.torch

GRU = {"kind": "gru", "units": 6, "return_sequences": True}
STATEFUL = {**GRU, "stateful": True}


@pytest.fixture
def trainee(workshop: Workshop) -> Any:
    return workshop.trainee(language_model(gru=GRU))


def test_events_come_in_order_with_positions_rates_and_tokens(workshop: Workshop, trainee: Any) -> None:
    listener = Listener()
    trainee.fit(workshop.training(Windows(3), Windows(2, seed=7)), listener)
    assert listener.order == ["begin", "step", "step", "step", "epoch", "step", "step", "step", "epoch"]
    assert listener.began == [(Position(), 3)]
    places = [(one.position.epoch, one.position.batch, one.position.step) for one in listener.steps]
    assert places == [(0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 4), (1, 2, 5), (1, 3, 6)]
    assert [one.learning_rate for one in listener.steps] == [1e-2 / (1 + step) for step in range(6)]
    assert {one.count for one in listener.steps} == {ROWS * TIME}
    assert [one.position for one in listener.epochs] == [Position(1, 0, 3), Position(2, 0, 6)]
    for epoch, steps in zip(listener.epochs, (listener.steps[:3], listener.steps[3:]), strict=True):
        assert epoch.loss == pytest.approx(np.mean([step.loss for step in steps]), rel=1e-12)
        assert epoch.training.count == 3 * ROWS * TIME
        assert epoch.seconds > 0
    assert listener.epochs[-1].val_loss == trainee.evaluate(Windows(2, seed=7)).loss


def test_a_batch_of_another_size_counts_by_its_tokens(workshop: Workshop) -> None:
    class Uneven(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            yield from Windows(2).epoch(epoch, start)
            yield from Windows(1, batch_size=1, seed=5).epoch(0)

    trainee, listener = workshop.trainee({**language_model(gru=GRU), "inputs": {"tokens": {"shape": [None]}}}), Listener()
    trainee.fit(workshop.training(Uneven(3), max_epochs=1), listener)
    losses = [(step.loss, step.count) for step in listener.steps]
    assert losses[2][1] == TIME
    expected = sum(loss * tokens for loss, tokens in losses) / sum(tokens for _, tokens in losses)
    assert listener.epochs[0].loss == pytest.approx(expected, rel=1e-12)


def test_sgd_without_momentum_takes_the_gradient_of_one_batch(workshop: Workshop, trainee: Any) -> None:
    windows = Windows(1)
    before, (_, gradients) = trainee.weights(), trainee.loss_and_gradients(next(windows.epoch(0)))
    trainee.fit(workshop.training(windows, optimizer=SGDSpec(), rate=lambda step: 0.5, max_epochs=1), Listener())
    for name, after in trainee.weights().items():
        np.testing.assert_allclose(after, before[name] - 0.5 * gradients[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_training_lowers_the_loss(workshop: Workshop, trainee: Any) -> None:
    listener = Listener()

    class Same(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            return super().epoch(0, start)

    trainee.fit(workshop.training(Same(2), rate=lambda step: 0.03, max_epochs=25), listener)
    assert listener.epochs[0].loss > 2.3
    assert listener.epochs[-1].loss < 1.3


def test_limits_and_rhythm_of_validation(workshop: Workshop, trainee: Any) -> None:
    listener = Listener()
    validation = Windows(5, seed=7)
    spec = {"check_val_every_n_epoch": 2, "max_epochs": 5}
    train, first = limit(Windows(4), 2), limit(validation, 1)
    trainee.fit(workshop.training(train, first, **spec), listener)
    assert listener.began[0][1] == 2
    assert len(listener.steps) == 10
    assert [epoch.val_loss is not None for epoch in listener.epochs] == [False, True, False, True, False]
    listener = Listener()
    trainee.fit(workshop.training(train, first, start=Position(5, 0, 10), **{**spec, "max_epochs": 6}), listener)
    assert listener.epochs[0].val_loss == trainee.evaluate(validation, limit=1).loss != trainee.evaluate(validation).loss


def test_validation_counts_epochs_from_the_first_start(workshop: Workshop, trainee: Any) -> None:
    listener = Listener()
    start = Position(3, 0, 12)
    training = workshop.training(Windows(2), Windows(1), start=start, check_val_every_n_epoch=2, max_epochs=6)
    trainee.fit(training, listener)
    assert [(one.position.epoch, one.val_loss is not None) for one in listener.epochs] == [(4, True), (5, False), (6, True)]


def test_a_start_within_an_epoch_trains_its_rest(workshop: Workshop, trainee: Any) -> None:
    seen = []

    class Noting(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            for place, batch in enumerate(super().epoch(epoch, start), start=start):
                seen.append((epoch, place))
                yield batch

    listener = Listener()
    trainee.fit(workshop.training(Noting(4), start=Position(1, 3, 7), max_epochs=3), listener)
    assert listener.began == [(Position(1, 3, 7), 4)]
    places = [(one.position.epoch, one.position.batch, one.position.step) for one in listener.steps]
    assert places == [(1, 4, 8), (2, 1, 9), (2, 2, 10), (2, 3, 11), (2, 4, 12)]
    assert listener.steps[0].learning_rate == 1e-2 / 8
    assert [one.position for one in listener.epochs] == [Position(2, 0, 8), Position(3, 0, 12)]
    assert [place for place in dict.fromkeys(seen)] == [(1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]


def test_an_epoch_left_after_its_last_step_is_ended_first(workshop: Workshop, trainee: Any) -> None:
    validation = Windows(1, seed=7)
    whole = Listener()
    trainee.fit(workshop.training(Windows(3), validation), whole)
    parts = workshop.trainee(language_model(gru=GRU))
    first = Listener(stop_after_steps=3)
    parts.fit(workshop.training(Windows(3), validation), first)
    assert first.order == ["begin", "step", "step", "step"]
    assert first.steps[-1].position == Position(0, 3, 3)
    second = Listener()
    parts.fit(workshop.training(Windows(3), validation, start=Position(0, 3, 3)), second)
    assert second.order == ["begin", "epoch", "step", "step", "step", "epoch"]
    for one, other in zip(whole.epochs, second.epochs, strict=True):
        assert (one.position, one.training, one.validation) == (other.position, other.training, other.validation)
    for name, value in trainee.weights().items():
        assert np.array_equal(value, parts.weights()[name])


def test_nothing_is_left_to_do_after_the_last_epoch(workshop: Workshop, trainee: Any) -> None:
    listener = Listener()
    trainee.fit(workshop.training(Windows(3), start=Position(2, 0, 6)), listener)
    assert listener.order == ["begin"]


def test_a_stop_within_an_epoch_ends_at_once_without_validation(workshop: Workshop, trainee: Any) -> None:
    listener = Listener(stop_after_steps=2)
    asked = []

    class Asked(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            asked.append(epoch)
            return super().epoch(epoch, start)

    trainee.fit(workshop.training(Windows(5), Asked(2)), listener)
    assert listener.order == ["begin", "step", "step"]
    assert not asked


def test_a_stop_after_an_epoch_starts_no_other(workshop: Workshop, trainee: Any) -> None:
    listener = Listener(stop_after_epochs=1)
    trainee.fit(workshop.training(Windows(2), Windows(1), max_epochs=4), listener)
    assert listener.order == ["begin", "step", "step", "epoch"]
    assert listener.epochs[0].val_loss is not None


def test_kept_states_go_on_and_validation_leaves_them(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(gru=STATEFUL))
    layer = trainee.native.layers["gru"].gru
    states = []
    listener = Listener(at_step=lambda result: states.append(layer.state.clone()))
    after_validation = []
    listener.at_epoch = lambda result: after_validation.append(layer.state.clone())
    validation = Windows(2, seed=7)
    trainee.fit(workshop.training(Windows(3), validation), listener)
    assert torch.equal(after_validation[0], states[2])
    assert torch.equal(after_validation[1], states[5])
    alone = workshop.trainee(language_model(gru=GRU), weights=trainee.weights())
    assert listener.epochs[-1].val_loss == trainee.evaluate(validation).loss
    # From zeros at its first batch; the second goes on from there, so a model without kept states differs.
    assert trainee.evaluate(validation, limit=1).loss == pytest.approx(alone.evaluate(validation, limit=1).loss, rel=1e-6)
    assert trainee.evaluate(validation).loss != pytest.approx(alone.evaluate(validation).loss, rel=1e-6)
    assert torch.equal(layer.state, states[5])


def test_a_broken_off_validation_gives_the_kept_states_back(workshop: Workshop) -> None:
    class Broken(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            yield from Windows(2).epoch(0)
            raise KeyboardInterrupt

    trainee = workshop.trainee(language_model(gru=STATEFUL))
    states = []
    listener = Listener(at_step=lambda result: states.append(trainee.state()["states/gru/0"]))
    with pytest.raises(KeyboardInterrupt):
        trainee.fit(workshop.training(Windows(2), Broken(3)), listener)
    assert np.array_equal(trainee.state()["states/gru/0"], states[-1])


@pytest.mark.parametrize("reset", [True, False])
def test_kept_states_start_each_epoch_from_zeros_if_asked(reset: bool, workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(gru=STATEFUL))
    layer = trainee.native.layers["gru"].gru
    begun = []
    layer.register_forward_pre_hook(lambda module, arguments: begun.append(module.state is not None and bool(module.state.any())))
    trainee.fit(workshop.training(Windows(2), reset=reset), Listener())
    assert begun == [False, True, not reset, True]


def test_a_loss_that_is_no_number_names_its_step(workshop: Workshop, trainee: Any) -> None:
    class Broken(Windows):
        def epoch(self, epoch: int, start: int = 0) -> Any:
            for place, batch in enumerate(super().epoch(epoch, start)):
                batch.weights[0, 0] = np.nan if place == 1 else 1.0
                yield batch

    listener, kept = Listener(), []
    listener.at_step = lambda result: kept.append(trainee.weights())
    with pytest.raises(TrainingError, match=r"the loss is nan at step 2: .*learning_rate.*gradient_clip_val"):
        trainee.fit(workshop.training(Broken(3, weighted=True)), listener)
    assert len(listener.steps) == 1
    assert all(np.array_equal(value, kept[0][name]) for name, value in trainee.weights().items())


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_running_out_of_memory_says_what_helps(error: Exception, workshop: Workshop, trainee: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(batch: Any) -> None:
        raise error

    monkeypatch.setattr(trainee.native, "loss", fail)
    with pytest.raises(TrainingError, match=r"memory ran out at step 1: lower data.batch_size \(now 4\).*trainer.precision=bf16-mixed"):
        trainee.fit(workshop.training(Windows(3)), Listener())


def test_other_errors_stay_as_they_are(workshop: Workshop, trainee: Any) -> None:
    def fail(result: Any) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        trainee.fit(workshop.training(Windows(3)), Listener(at_step=fail))


def test_no_batches_is_an_error(workshop: Workshop, trainee: Any) -> None:
    with pytest.raises(InputError, match="not a single batch"):
        trainee.fit(workshop.training(Windows(0)), Listener())


def test_ctrl_c_is_a_keyboard_interrupt_and_works_again_afterwards(workshop: Workshop, trainee: Any) -> None:
    def press(result: Any) -> None:
        if result.position.step == 2:
            signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainee.fit(workshop.training(Windows(3)), Listener(at_step=press))
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_the_programs_own_sigterm_handler_is_called_and_training_goes_on(workshop: Workshop, trainee: Any) -> None:
    calls = []

    def terminate(result: Any) -> None:
        if result.position.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def note(*arguments: Any) -> None:
        calls.append(arguments)

    before = signal.signal(signal.SIGTERM, note)
    try:
        listener = Listener(at_step=terminate)
        trainee.fit(workshop.training(Windows(3)), listener)
        assert signal.getsignal(signal.SIGTERM) is note
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(calls) == 1
    assert len(listener.steps) == 6


def test_lightning_says_nothing_and_writes_nothing(
    workshop: Workshop, trainee: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainee.fit(workshop.training(Windows(2), Windows(1)), Listener())
    assert [str(one.message) for one in told] == []
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert [one.level for one in loggers] == levels


def test_it_is_lightnings_trainer_that_trains(workshop: Workshop, trainee: Any) -> None:
    import pytorch_lightning

    trainers = []
    listener = Listener(at_step=lambda result: trainers.append((trainee.native.trainer, trainee.native.training)))
    trainee.fit(workshop.training(Windows(1), max_epochs=1, gradient_clip_val=0.5), listener)
    ((trainer, training),) = trainers
    assert isinstance(trainer, pytorch_lightning.Trainer)
    assert training
    assert trainer.gradient_clip_val == 0.5


def test_batches_reach_the_model_without_a_copy() -> None:
    from framework.backends.torch.loader import as_tensors

    batch = next(Windows(1, weighted=True).epoch(0))
    own = type(batch)({"tokens": batch.inputs["tokens"].copy()}, batch.targets.copy(), batch.weights)
    inputs, targets, weights = as_tensors(own)
    assert inputs["tokens"].data_ptr() == own.inputs["tokens"].ctypes.data
    assert targets.data_ptr() == own.targets.ctypes.data
    assert weights.data_ptr() == own.weights.ctypes.data
    read_only = batch.targets.copy()
    read_only.flags.writeable = False
    (_, copied, _) = as_tensors(type(batch)({}, read_only))
    assert np.array_equal(copied.numpy(), read_only)


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("64-true", torch.float64), ("bf16-mixed", torch.float32)])
def test_precisions(precision: str, dtype: torch.dtype, workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(gru=GRU, norm={"kind": "layer_normalization"}), precision=precision)
    computed = []
    trainee.native.layers["logits"].register_forward_hook(lambda module, read, given: computed.append(given["output"].value.dtype))
    listener = Listener()
    trainee.fit(workshop.training(Windows(2), Windows(1, seed=3), precision=precision), listener)
    assert {weight.dtype for weight in trainee.native.parameters()} == {dtype}
    assert set(computed) == {torch.bfloat16 if precision == "bf16-mixed" else dtype}
    assert listener.epochs[-1].val_loss == trainee.evaluate(Windows(1, seed=3)).loss
    plain = Listener()
    workshop.trainee(language_model(gru=GRU, norm={"kind": "layer_normalization"})).fit(workshop.training(Windows(2)), plain)
    assert listener.steps[-1].loss == pytest.approx(plain.steps[-1].loss, rel=2e-2 if precision == "bf16-mixed" else 1e-4)
