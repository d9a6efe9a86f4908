"""What one process of a training trains on, and its model: the whole batches where it is alone, else its rows of them."""

from __future__ import annotations

from dataclasses import replace

from framework.backends.base.backend import Trainee
from framework.backends.base.objective import Totals
from framework.backends.base.processes import Processes
from framework.backends.base.state import rows_of
from framework.backends.base.training import Arrays, Position, Training
from framework.builder.schedule import learning_rate
from framework.data.limit import limit
from framework.data.share import part_of, share
from framework.engine.run.planning import plan_only
from framework.engine.run.prepare import Prepared, build_trainee
from framework.tasks.known import task_of


def training_of(prepared: Prepared, start: Position, processes: Processes) -> Training:
    """The plan of a training, from ``start`` on.

    Args:
        prepared: the experiment with its data.
        start: where it begins.
        processes: that train together.
    """
    experiment, data = prepared.experiment, prepared.data
    whole = limit(data.train, experiment.trainer.limit_train_batches)
    held_out = None if data.validation is None else limit(data.validation, experiment.trainer.limit_val_batches)
    return Training(
        trainer=experiment.trainer,
        optimizer=experiment.optimizer,
        learning_rate=learning_rate(experiment.optimizer, whole.steps * experiment.trainer.max_epochs),
        train=share(whole, processes.rank, processes.size),
        validation=None if held_out is None else share(held_out, processes.rank, processes.size, fill=False),
        start=start,
        reset_states_each_epoch=prepared.task.reset_states_each_epoch(experiment),
        processes=processes,
    )


def build_share(prepared: Prepared, processes: Processes) -> Trainee:
    """The model of one process: where the rows of a batch are fixed, for its own."""
    rows = prepared.plan.batch_size
    if processes.size == 1 or rows is None:
        return build_trainee(prepared)[1]
    own = part_of(rows, processes.rank, processes.size).rows
    model = prepared.experiment.model
    inputs = {name: one.model_copy(update={"batch_size": own}) for name, one in model.inputs.items()}
    local = prepared.experiment.model_copy(update={"model": model.model_copy(update={"inputs": inputs})})
    return build_trainee(replace(prepared, plan=plan_only(local)))[1]


def load_share(trainee: Trainee, state: Arrays, processes: Processes) -> None:
    """Gives a process's model its rows of a whole state.

    Raises:
        CheckpointError: it does not fit the model.
    """
    trainee.load_state(rows_of(state, lambda rows: part_of(rows, processes.rank, processes.size)))


def untrained_totals(prepared: Prepared, training: Training, trainee: Trainee) -> Totals:
    """What the first batch measures before any step; each process has to call it."""
    processes = training.processes
    if processes.size == 1:
        return trainee.evaluate(training.train, limit=1)
    part = next(training.train.epoch(0)).part
    own = trainee.evaluate(training.train, limit=1) if part is None or part.rows else Totals()
    return processes.added(own, task_of(prepared.experiment).objective(prepared.experiment).sums)
