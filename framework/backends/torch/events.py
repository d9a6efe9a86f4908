"""Tells Gatework's events from Lightning's hooks, and ends the training when it is asked to."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as lightning
from torch import Tensor

from framework.backends.base.training import EpochResult, StepResult, Training, TrainingEvents
from framework.backends.torch.module import GraphModule, check_finite
from framework.backends.torch.progress import Mean, Progress
from framework.backends.torch.quiet import SigtermGuard


class EventTeller(lightning.Callback):
    """The one callback of a training.

    Args:
        training: the plan.
        events: who is told.
        progress: where the training stands; kept up to date here.
        steps: batches of a whole epoch.
    """

    def __init__(self, training: Training, events: TrainingEvents, progress: Progress, steps: int) -> None:
        self.training = training
        self.steps = steps
        self.events = events
        self.progress = progress
        self.validation = Mean()
        self.val_loss: float | None = None
        self._mark = 0.0
        self._sigterm = SigtermGuard()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Signals are the program's own business."""
        self._sigterm.restore()

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts an epoch, or goes on with one."""
        assert isinstance(module, GraphModule)
        self.val_loss = None
        if self.progress.batch == 0:
            self.progress.start_epoch()
            if self.training.reset_states_each_epoch:
                module.graph.reset_states()
        self._mark = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tells of a step."""
        loss: Tensor = outputs["reported"]
        tokens = batch[1].numel()
        self.progress.step_done(loss, tokens)
        self.progress.seconds += time.perf_counter() - self._mark
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.events.on_step(StepResult(self.progress.position, self._read(loss), tokens, rate))
        if self.events.should_stop:
            self._stop(trainer)
        self._mark = time.perf_counter()

    def _read(self, loss: Tensor) -> float | None:
        """The loss as a number; on a GPU only now and then, since reading it waits for the device."""
        step = self.progress.step
        due = step % self.training.trainer.log_every_n_steps == 0 or self.progress.batch == self.steps
        if loss.device.type != "cpu" and not due:
            return None
        value = float(loss)
        check_finite(value, step)
        return value

    def _stop(self, trainer: lightning.Trainer) -> None:
        """Ends the training now: Lightning would validate once more first."""
        trainer.limit_val_batches = 0
        trainer.should_stop = True

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts the mean."""
        self.validation = Mean()

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Adds a batch to the mean."""
        self.validation.add(outputs, batch[1].numel())

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Keeps the mean for the epoch's end."""
        self.val_loss = self.validation.value()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException) -> None:
        """Puts the states of the training back where a validation was broken off."""
        assert isinstance(module, GraphModule)
        module.put_states_back()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Tells of an epoch and its validation, unless the training was ended within it."""
        if not trainer.should_stop:
            self.tell_epoch()
        if self.events.should_stop:
            self._stop(trainer)

    def tell_epoch(self) -> None:
        """Tells that the epoch is done."""
        mean = self.progress.mean
        loss, tokens, seconds = mean.value(), mean.tokens, self.progress.seconds
        check_finite(loss, self.progress.step)
        self.progress.epoch_done()
        self.events.on_epoch_end(EpochResult(self.progress.position, loss, self.val_loss, seconds, tokens))
