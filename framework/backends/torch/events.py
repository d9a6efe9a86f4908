"""Tells Gatework's events from Lightning's hooks, and ends the training when it is asked to."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as lightning

from framework.backends.base.ledger import Ledger
from framework.backends.base.objective import Totals
from framework.backends.base.training import Training, TrainingEvents
from framework.backends.torch.loss import RunningTotals
from framework.backends.torch.module import GraphModule
from framework.backends.torch.quiet import SigtermGuard


class EventTeller(lightning.Callback):
    """The one callback of a training.

    Args:
        training: the plan.
        events: who is told.
        ledger: where the training stands; told of each step and epoch.
    """

    def __init__(self, training: Training, events: TrainingEvents, ledger: Ledger) -> None:
        self.training = training
        self.events = events
        self.ledger = ledger
        self.validation: Totals | None = None
        self._sigterm = SigtermGuard()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Signals are the program's own business."""
        self._sigterm.restore()

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts an epoch, or goes on with one."""
        assert isinstance(module, GraphModule)
        self.validation = None
        if self.ledger.begin_epoch() and self.training.reset_states_each_epoch:
            module.network.reset_states()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tells of a step."""
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.ledger.add(outputs["mean"], outputs["weight"], batch[3].whole if len(batch) > 3 else len(batch[1]), rate)
        if self.events.should_stop:
            self._stop(trainer)

    def _stop(self, trainer: lightning.Trainer) -> None:
        """Ends the training now: Lightning would validate once more first."""
        trainer.limit_val_batches = 0
        trainer.should_stop = True

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts the sums."""
        assert isinstance(module, GraphModule)
        self._running = RunningTotals(module.objective)

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Adds a batch to the sums."""
        self._running.add(outputs["output"], batch[1], batch[2])

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Keeps the sums for the epoch's end."""
        assert isinstance(module, GraphModule)
        self.validation = self.training.processes.added(self._running.value(), module.objective.sums)

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException) -> None:
        """Puts the states of the training back where a validation was broken off."""
        assert isinstance(module, GraphModule)
        module.put_states_back()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Tells of an epoch and its validation, unless the training was ended within it."""
        if not trainer.should_stop:
            self.ledger.end_epoch(self.validation)
        if self.events.should_stop:
            self._stop(trainer)
