"""Process 0's way to the others: it starts them, or meets those that were started with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from framework.backends.base.processes import Alone, Processes, World
from framework.backends.base.registry import load_backend
from framework.engine.processes.meeting import meet
from framework.engine.processes.start import Members
from framework.errors import GateworkError, LostProcess
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
        LostProcess: one of them is gone; it is named where that can be told.
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
        if members is not None:
            load_backend(experiment.backend.name)  # while they prepare
            members.gather()
            processes = meet(experiment, members.world, members.pids())
        else:
            assert world is not None
            processes = meet(experiment, world)
        stack.callback(processes.leave)
        try:
            yield Company(processes, who_is_gone)
        except LostProcess as error:
            gone = who_is_gone()
            if gone is None or gone in str(error):
                raise
            raise LostProcess(f"{gone}; the same command tries again") from error


def dismiss(experiment: Experiment, world: World | None, why: Mapping[str, object]) -> None:
    """Tells processes that were started with this one why there is nothing to train."""
    if world is None:
        return
    processes = meet(experiment, world)
    processes.tell_json(why)
    processes.leave()


@contextmanager
def refusing(experiment: Experiment, world: World | None) -> Iterator[Callable[[], None]]:
    """Tells processes that were started with this one what it refuses before it has met them; they would wait for it otherwise.

    Yields:
        To be called when it meets them by itself.
    """
    waiting = world is not None

    def met() -> None:
        nonlocal waiting
        waiting = False

    try:
        yield met
    except GateworkError as error:
        if waiting:
            with suppress(GateworkError):  # the refusal itself is what there is to say
                dismiss(experiment, world, {"refused": str(error)})
        raise
