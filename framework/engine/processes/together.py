"""Process 0's way to the others: it starts them, or meets those that were started with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from framework.backends.base.processes import Alone, Processes, World
from framework.backends.base.registry import load_backend
from framework.engine.processes.start import Members
from framework.spec.experiment import Experiment


@dataclass(frozen=True)
class Company:
    """The processes of a training, as process 0 sees them.

    Attributes:
        processes: all of them.
        who_is_gone: which other one ended first and how, where one has and that can be told.
    """

    processes: Processes
    who_is_gone: Callable[[], str | None]


@contextmanager
def together(experiment: Experiment, world: World | None, mourn: Callable[[str], None]) -> Iterator[Company]:
    """The company for a training; alone where the config asks for no other process.

    Args:
        experiment: the config.
        world: the processes that were started with this one; None: they are started here.
        mourn: told which process is gone where this one has to end at once for it.

    Raises:
        BackendUnavailable: the others cannot be reached.
    """
    size = experiment.trainer.processes
    if size == 1:
        yield Company(Alone(), lambda: None)
        return
    # torch warns that looking for weights of no use costs time; see the torch backend's fitting for why it is done.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with ExitStack() as stack:
        members = None if world is not None else stack.enter_context(Members(experiment, size, mourn))
        who_is_gone = (lambda: None) if members is None else members.who_is_gone
        processes = load_backend(experiment.backend.name).join(world or members.world, experiment.backend)  # type: ignore[union-attr]
        stack.callback(processes.leave)
        yield Company(processes, who_is_gone)


def dismiss(experiment: Experiment, world: World | None, folder: Path) -> None:
    """Tells processes that were started with this one that there is nothing to train."""
    if world is None:
        return
    processes = load_backend(experiment.backend.name).join(world, experiment.backend)
    processes.tell_json({"folder": str(folder), "over": True})
    processes.leave()
