"""Training by Keras' ``Model.fit``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import keras
import tensorflow as tf

from framework.backends.base.training import EpochResult, Position, StepResult, Training, TrainingEvents
from framework.backends.tensorflow.compiled import TrainStep, batch_tensors
from framework.backends.tensorflow.progress import EpochLoss
from framework.data.batches import Batch, Batches
from framework.errors import TrainingError


class Trained(Protocol):
    """What is needed of the trainee."""

    native: keras.Model
    progress: EpochLoss

    def reset_states(self) -> None:
        """Puts the states of stateful layers to zeros."""
        ...

    def evaluate(self, batches: Batches, limit: int | None = None) -> float:
        """Mean loss in nats a token."""
        ...


class Fitting:
    """One training, from its start to the end of the last epoch or until it is asked to stop.

    Keras runs each epoch: its loop, its callbacks, its optimizer. The step that it runs takes its batch straight from the data, which
    costs less than a ``tf.data`` pipeline around a Python generator and leaves the data's own errors as they are.

    Args:
        trainee: what is trained; its native model is compiled with the optimizer.
        train_step: the compiled step.
        training: what to train on, and from where.
        events: who is told.
    """

    def __init__(self, trainee: Trained, train_step: TrainStep, training: Training, events: TrainingEvents) -> None:
        self.trainee = trainee
        self.native = trainee.native
        self.train_step = train_step
        self.training = training
        self.events = events
        self.position = training.start
        limit = training.trainer.limit_train_batches
        self.steps = training.train.steps if limit is None else min(limit, training.train.steps)
        # On a processor the loss is there at once; elsewhere reading it would keep the device waiting for the next step.
        on_processor = not tf.config.list_logical_devices("GPU")
        self.read_every = 1 if on_processor else training.trainer.log_every_n_steps
        self.rate_dtype = self.native.optimizer.learning_rate.dtype

    def run(self) -> None:
        """Trains.

        Raises:
            TrainingError: the loss is not finite, memory ran out, or the data ended early.
        """
        self.events.on_train_begin(self.training.start, self.steps)
        while self.position.epoch < self.training.trainer.max_epochs and self._epoch():
            pass

    def _epoch(self) -> bool:
        """Trains the rest of the current epoch and validates; whether training goes on."""
        start = self.position
        if start.batch == 0:
            self.trainee.progress.reset()
            if self.training.reset_states_each_epoch:
                self.trainee.reset_states()
        epoch = _Epoch(self)
        if start.batch < self.steps and not epoch.run():
            return False
        self.position = Position(start.epoch + 1, 0, self.position.step)
        loss, val_loss = self.trainee.progress.mean, self._validate()
        self.events.on_epoch_end(EpochResult(self.position, loss, val_loss, epoch.seconds, epoch.tokens))
        return not self.events.should_stop

    def _validate(self) -> float | None:
        trainer = self.training.trainer
        if self.training.validation is None or self.position.epoch % trainer.check_val_every_n_epoch:
            return None
        return self.trainee.evaluate(self.training.validation, trainer.limit_val_batches)


class _Epoch(keras.callbacks.Callback):  # type: ignore[misc]
    """The rest of one epoch: what Keras' loop calls for each step, and what it calls after it.

    Attributes:
        seconds: time spent in steps.
        tokens: targets trained on.
    """

    def __init__(self, fitting: Fitting) -> None:
        super().__init__()
        self.fitting = fitting
        self.seconds = 0.0
        self.tokens = 0
        self.error: Exception | None = None
        start = fitting.position
        self.left = fitting.steps - start.batch
        self.batches: Iterator[Batch] = islice(fitting.training.train.epoch(start.epoch, start.batch), max(self.left, 0))
        self.now: tuple[int, float] = (0, 0.0)

    def run(self) -> bool:
        """Runs Keras' ``fit`` over the batches that are left; whether the epoch was trained to its end."""
        native = self.fitting.native
        native.train_function = self.step
        try:
            # The numbers only count the steps: ``step`` takes the batches itself.
            native.fit(tf.data.Dataset.range(self.left), epochs=1, shuffle=False, verbose=0, callbacks=[self])
        except tf.errors.ResourceExhaustedError as error:
            step = self.fitting.position.step + 1
            raise TrainingError(f"memory ran out at step {step}; a smaller data.batch_size or model needs less: {error.message}") from error
        finally:
            native.train_function = None
        if self.error is not None:
            raise self.error
        return self.fitting.position.batch == self.fitting.steps and not native.stop_training

    def step(self, _: Any) -> dict[str, Any]:
        """One step on the next batch; what Keras' loop calls."""
        fitting = self.fitting
        began = time.perf_counter()
        batch = next(self.batches, None)
        if batch is None:
            raise TrainingError(f"epoch {fitting.position.epoch + 1} ended after {fitting.position.batch} of {fitting.steps} batches")
        rate = fitting.training.learning_rate(fitting.position.step)
        loss = fitting.train_step(*batch_tensors(fitting.native, batch), tf.constant(rate, fitting.rate_dtype))
        fitting.position = Position(fitting.position.epoch, fitting.position.batch + 1, fitting.position.step + 1)
        fitting.trainee.progress.add(fitting.position, loss, batch.tokens)
        self.now = (batch.tokens, rate)
        self.tokens += batch.tokens
        self.seconds += time.perf_counter() - began
        return {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells of the step. An error is kept until Keras' loop is over, because ``fit`` would cut off where it came from."""
        try:
            self._tell()
        except Exception as error:
            self.error = error
        if self.error is not None or self.fitting.events.should_stop:
            self.model.stop_training = True

    def _tell(self) -> None:
        fitting = self.fitting
        position = fitting.position
        began = time.perf_counter()
        due = position.step % fitting.read_every == 0 or position.batch == fitting.steps
        loss = fitting.trainee.progress.read() if due else None
        self.seconds += time.perf_counter() - began
        fitting.events.on_step(StepResult(position, loss, *self.now))
