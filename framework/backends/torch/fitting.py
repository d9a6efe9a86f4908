"""A training by Lightning's own Trainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from framework.backends.base.ledger import Ledger
from framework.backends.base.training import Training, TrainingEvents
from framework.backends.torch.events import EventTeller
from framework.backends.torch.loader import BatchLoader
from framework.backends.torch.module import GraphModule
from framework.backends.torch.processes import StartedProcesses, TorchProcesses, is_lost, lost
from framework.backends.torch.quiet import interrupts_pass, quiet_lightning
from framework.errors import InputError, TrainingError
from framework.spec.trainer import TrainerSpec


def fit(module: GraphModule, training: Training, events: TrainingEvents, ledger: Ledger, device: torch.device) -> None:
    """Trains from ``training.start`` to the last epoch, or until ``events`` asks to stop.

    Args:
        module: with :attr:`~GraphModule.optimizer` set.
        training: the plan.
        events: who is told.
        ledger: where the training stands.
        device: to train on.

    Raises:
        TrainingError: the loss is not finite, or memory ran out.
        InputError: there are no batches.
    """
    loader = BatchLoader(training.train, position=lambda: (ledger.position.epoch, ledger.position.batch))
    if loader.steps == 0:
        raise InputError("there is not a single batch to train on; lower data.batch_size or data.sequence_length, or give more data")
    module.steps, module.learning_rate, module.quiet = training.start.step, training.learning_rate, True
    processes = training.processes
    module.processes = processes if isinstance(processes, TorchProcesses) else None
    # On a GPU a loss is read only now and then, since reading it waits for the device.
    ledger.begin(events, training.start, loader.steps, 1 if device.type == "cpu" else training.trainer.log_every_n_steps)
    if training.start.epoch >= training.trainer.max_epochs:
        return
    teller = EventTeller(training, events, ledger)
    validation = None if training.validation is None else BatchLoader(training.validation)
    with quiet_lightning(), interrupts_pass(), _losses(), _memory(ledger, training):
        trainer = make_trainer(training.trainer, device, [teller], module.processes)
        if ledger.epoch_complete:
            _finish_epoch(module, trainer, teller, validation)
            if events.should_stop or ledger.position.epoch >= training.trainer.max_epochs:
                return
            trainer = make_trainer(training.trainer, device, [teller], module.processes)
        # The only state of the Trainer that is set from outside, as a checkpoint of its own would.
        trainer.fit_loop.epoch_progress.current.processed = ledger.position.epoch  # type: ignore[attr-defined]
        try:
            trainer.fit(module, loader, validation)
        finally:
            module.trainer = None


def _finish_epoch(module: GraphModule, trainer: lightning.Trainer, teller: EventTeller, validation: BatchLoader | None) -> None:
    """Validates and ends an epoch whose training was complete when it was interrupted."""
    every = teller.training.trainer.check_val_every_n_epoch
    if validation is not None and (teller.ledger.position.epoch + 1) % every == 0:
        trainer.validate(module, validation, verbose=False)
        module.trainer = None
    teller.ledger.end_epoch(teller.validation)


def make_trainer(
    spec: TrainerSpec, device: torch.device, callbacks: list[lightning.Callback], processes: TorchProcesses | None = None
) -> lightning.Trainer:
    """A Trainer that trains, and does nothing else: checkpoints, records and progress are Gatework's own.

    Weights have their data type since the model was built, so Lightning has none to convert.
    """
    alone = [device.index or 0] if device.type == "cuda" else 1
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=alone if processes is None else processes.world.local_size,
        num_nodes=1 if processes is None else processes.world.size // processes.world.local_size,
        strategy="auto" if processes is None else _data_parallel(processes),
        use_distributed_sampler=False,
        precision="bf16-mixed" if spec.precision == "bf16-mixed" else "32-true",
        max_epochs=spec.max_epochs,
        check_val_every_n_epoch=spec.check_val_every_n_epoch,
        gradient_clip_val=spec.gradient_clip_val,
        gradient_clip_algorithm=spec.gradient_clip_algorithm if spec.gradient_clip_val else None,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        # Tensors made in inference mode could not be trained on: states and caches may outlive a validation.
        inference_mode=False,
        # One process, also within a batch system's job, whose environment Lightning would read otherwise.
        plugins=[LightningEnvironment() if processes is None else StartedProcesses(processes.world)],
    )


def _data_parallel(processes: TorchProcesses) -> DDPStrategy:
    """Lightning's strategy.

    A weight may be of no use in a model, and has no gradient then. That some may be also keeps the gradients in the same parcels from
    step to step: others, as DistributedDataParallel makes after its first step, would add up in another order after a resume.
    """
    return DDPStrategy(
        process_group_backend="nccl" if processes.device.type == "cuda" else "gloo",
        find_unused_parameters=True,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )


@contextmanager
def _losses() -> Iterator[None]:
    """Turns an exchange that failed into what that means."""
    try:
        yield
    except RuntimeError as error:
        if is_lost(error):
            raise lost(error) from error
        raise


@contextmanager
def _memory(ledger: Ledger, training: Training) -> Iterator[None]:
    """Turns running out of memory into an error that says what helps."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(ledger, training) from error
    except RuntimeError as error:
        # The CPU's allocator has no error class of its own.
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise _out_of_memory(ledger, training) from error
        raise


def _out_of_memory(ledger: Ledger, training: Training) -> TrainingError:
    mixed = "" if training.trainer.precision == "bf16-mixed" else ", or set trainer.precision=bf16-mixed"
    return TrainingError(
        f"memory ran out at step {ledger.position.step + 1:,}: lower data.batch_size (now {training.train.batch_size}), "
        f"data.sequence_length or the model's units{mixed}"
    )
