"""Samples of what a model makes while it is trained, as text files."""

from __future__ import annotations

from collections.abc import Callable

from framework.backends.base.backend import Trainee
from framework.decoding.sampling import Sampling
from framework.engine.files import write_text
from framework.engine.folder import RunFolder
from framework.engine.planning import decoding_obstacles
from framework.engine.prepare import Prepared
from framework.errors import UnsupportedArgument


def sample_maker(prepared: Prepared, trainee: Trainee, folder: RunFolder, warn: Callable[[str], None]) -> Callable[[int], str | None]:
    """A function from the epoch (counted from 1) to a sample, which it also writes to ``samples/epoch-0001.txt``.

    It gives None for a model that cannot be decoded step by step, which can be trained and measured all the same.

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
    sampling = Sampling.of(prepared.experiment.decoding, banned_tokens(prepared))

    def sample(epoch: int) -> str:
        text = prepared.task.sample(trainee.stepper(), prepared.data, sampling, prepared.experiment, prepared.experiment.seed)
        write_text(folder.samples / f"epoch-{epoch:04d}.txt", text)
        return text

    return sample


def banned_tokens(prepared: Prepared) -> tuple[int, ...]:
    """Tokens that are never generated: ``[UNK]``, which stands for no text."""
    unknown = prepared.data.vocabulary.unknown_id
    return () if unknown is None else (unknown,)


def _obstacle(prepared: Prepared, trainee: Trainee) -> str | None:
    """What keeps the model from being decoded: told of its plan, or by its backend."""
    obstacles = decoding_obstacles(prepared.plan)
    if obstacles:
        return "; ".join(obstacles)
    try:
        trainee.stepper()
    except UnsupportedArgument as error:
        return str(error)
    return None
