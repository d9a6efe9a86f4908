"""Samples of what a model makes while it is trained, as text files."""

from __future__ import annotations

from collections.abc import Callable

from framework.backends.base.backend import Trainee
from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.prepare import Prepared
from framework.errors import UnsupportedArgument
from framework.tasks.decoding import obstacle_lines


def sample_maker(prepared: Prepared, trainee: Trainee, folder: RunFolder, warn: Callable[[str], None]) -> Callable[[int], str | None]:
    """A function from the epoch (counted from 1) to a sample, which it also writes to ``samples/epoch-0001.txt``.

    It gives None for a task without samples, and for a model that cannot be decoded step by step, which can be trained all the same.

    Args:
        prepared: the experiment with its data.
        trainee: the model.
        folder: the run's folder.
        warn: told before the training why there will be no samples.
    """
    if prepared.experiment.trainer.sample_every_n_epochs is None:
        return lambda epoch: None
    obstacle = _obstacle(prepared, trainee)
    if obstacle is not None:
        warn(f"no samples will be made, and the model will not generate: {obstacle}")
        return lambda epoch: None

    def sample(epoch: int) -> str | None:
        text = prepared.task.sample(prepared.model(trainee), prepared.data)
        if text is not None:
            write_text(folder.sample(epoch), text)
        return text

    return sample


def _obstacle(prepared: Prepared, trainee: Trainee) -> str | None:
    """What keeps a model that is to be decoded from it: told of its plan, or by its backend."""
    decoded = prepared.task.decoded(prepared.plan)
    if decoded is None:
        return None
    lines = obstacle_lines(prepared.experiment, prepared.plan)
    if lines:
        return "; ".join(lines)
    try:
        trainee.stepper(decoded)
    except UnsupportedArgument as error:
        return str(error)
    return None
