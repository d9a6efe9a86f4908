"""Training by Keras' ``Model.fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import keras
import tensorflow as tf

from framework.backends.base.ledger import Ledger
from framework.backends.base.objective import Objective, Totals
from framework.backends.base.training import Training, TrainingEvents
from framework.backends.tensorflow.compiled import Shapes, TrainStep, batch_shapes, batch_tensors
from framework.backends.tensorflow.loss import Loss
from framework.backends.tensorflow.processes import lost
from framework.backends.tensorflow.state import ModelVariables
from framework.data.batches import Batch, Batches, Part
from framework.errors import TrainingError


class Trained(Protocol):
    """What is needed of the trainee."""

    native: keras.Model
    ledger: Ledger
    objective: Objective
    variables: ModelVariables

    def reset_states(self) -> None:
        """Puts the states of stateful layers to zeros."""
        ...

    def evaluate(self, batches: Batches, limit: int | None = None) -> Totals:
        """Sums over batches."""
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
        self.ledger = trainee.ledger
        self.steps = training.train.steps
        self.rate_dtype = self.native.optimizer.learning_rate.dtype
        self._usual: Shapes | None = None

    def run(self) -> None:
        """Trains.

        Raises:
            TrainingError: the loss is not finite, memory ran out, or the data ended early.
        """
        # On a processor the loss is there at once; elsewhere reading it would keep the device waiting for the next step.
        on_processor = not tf.config.list_logical_devices("GPU")
        self.ledger.begin(self.events, self.training.start, self.steps, 1 if on_processor else self.training.trainer.log_every_n_steps)
        while self.ledger.position.epoch < self.training.trainer.max_epochs and self._epoch():
            pass

    def usual(self, batch: Batch) -> Shapes:
        """The shapes of the training's very first batch, wherever it is taken up.

        Args:
            batch: the next one.
        """
        if self._usual is None:
            first = batch if self.ledger.position.step == 0 else next(self.training.train.epoch(0), batch)
            self._usual = batch_shapes(*batch_tensors(self.native, first))
        return self._usual

    def _epoch(self) -> bool:
        """Trains the rest of the current epoch and validates; whether training goes on."""
        if self.ledger.begin_epoch() and self.training.reset_states_each_epoch:
            self.trainee.reset_states()
        if not self.ledger.epoch_complete and not _Epoch(self).run():
            return False
        self.ledger.end_epoch(self._validate())
        return not self.events.should_stop

    def _validate(self) -> Totals | None:
        every = self.training.trainer.check_val_every_n_epoch
        if self.training.validation is None or (self.ledger.position.epoch + 1) % every:
            return None
        batches, processes = self.training.validation, self.training.processes
        if processes.size == 1:
            return self.trainee.evaluate(batches)
        has_rows = next(batches.epoch(0), None) is not None
        return processes.added(self.trainee.evaluate(batches) if has_rows else Totals(), self.trainee.objective.sums)


class _Epoch(keras.callbacks.Callback):  # type: ignore[misc]
    """The rest of one epoch: what Keras' loop calls for each step, and what it calls after it."""

    def __init__(self, fitting: Fitting) -> None:
        super().__init__()
        self.fitting = fitting
        self.error: Exception | None = None
        start = fitting.ledger.position
        self.left = fitting.steps - start.batch
        self.batches: Iterator[Batch] = fitting.training.train.epoch(start.epoch, start.batch)
        self.done: Callable[[], None] = lambda: None

    def run(self) -> bool:
        """Runs Keras' ``fit`` over the batches that are left; whether the epoch was trained to its end."""
        native = self.fitting.native
        native.train_function = self.step
        try:
            # The numbers only count the steps: ``step`` takes the batches itself.
            native.fit(tf.data.Dataset.range(self.left), epochs=1, shuffle=False, verbose=0, callbacks=[self])
        except tf.errors.ResourceExhaustedError as error:
            step = self.fitting.ledger.position.step + 1
            raise TrainingError(f"memory ran out at step {step}; a smaller data.batch_size or model needs less: {error.message}") from error
        finally:
            native.train_function = None
        if self.error is not None:
            raise self.error
        return self.fitting.ledger.epoch_complete and not native.stop_training

    def step(self, _: Any) -> dict[str, Any]:
        """One step on the next batch; what Keras' loop calls."""
        fitting = self.fitting
        position = fitting.ledger.position
        batch = next(self.batches, None)
        if batch is None:
            raise TrainingError(f"epoch {position.epoch + 1} ended after {position.batch} of {fitting.steps} batches")
        rate = fitting.training.learning_rate(position.step)
        step = partial(
            fitting.train_step, fitting.usual(batch), *batch_tensors(fitting.native, batch), tf.constant(rate, fitting.rate_dtype)
        )
        loss = step() if batch.part is None else self._shared(step, batch.part)
        self.done = partial(fitting.ledger.add, loss.mean, loss.weight, batch.rows if batch.part is None else batch.part.whole, rate)
        return {}

    def _shared(self, step: Callable[..., Any], part: Part) -> Loss:
        """One step together with other processes; the loss is that of all."""
        fitting, processes = self.fitting, self.fitting.training.processes
        fitting.trainee.variables.start_step(fitting.ledger.position.step, part.first)
        try:
            loss, wishes = step(*(tf.constant(number, tf.float64) for number in (part.rows, part.whole, float(processes.wish()))))
        except tf.errors.UnavailableError as error:
            raise lost(error) from error
        processes.hear(wishes)
        whole: Loss = loss
        return whole

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells of the step. An error is kept until Keras' loop is over, because ``fit`` would cut off where it came from."""
        try:
            self.done()
        except Exception as error:
            self.error = error
        if self.error is not None or self.fitting.events.should_stop:
            self.model.stop_training = True
