"""A process that helps another one to train: it has its rows of every batch, writes nothing, and ends with that one."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from framework.backends.base.backend import Backend
from framework.backends.base.choices import Choices, using
from framework.backends.base.memory import keep_freed_memory
from framework.backends.base.processes import Processes, World
from framework.backends.base.registry import load_backend
from framework.backends.base.shared_events import NoEvents, SharedEvents
from framework.backends.base.training import Position
from framework.engine.processes.meeting import meet
from framework.engine.processes.start import LOST
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.folder import RunFolder
from framework.engine.run.prepare import Prepared, prepare_experiment
from framework.engine.run.same_training import require_same
from framework.engine.run.signals import StopSignals
from framework.engine.run.training import build_share, load_share, training_of, untrained_totals
from framework.errors import EXIT_FAILED, CheckpointError, GateworkError, LostProcess, RunError
from framework.spec.experiment import Experiment

_MOMENT = 5.0
"""Seconds in which process 0 ends this one where it ends itself."""


def help_training(experiment: Experiment, world: World, arrive: Callable[[], None] = lambda: None) -> RunFolder:
    """Trains together with process 0, until that is done.

    Args:
        experiment: the same config as process 0's.
        world: the processes, and which of them this is.
        arrive: called once this one is about to meet the others.

    Returns:
        The run's folder, written by process 0.

    Raises:
        GateworkError: the data or the model cannot be had, process 0 has others or refuses to train, or another process is gone.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # see engine/processes/together
    prepared = prepare_experiment(experiment)
    backend = load_backend(experiment.backend.name)
    arrive()
    processes = meet(experiment, world)
    try:
        told = processes.tell_json()
        if "refused" in told:
            raise RunError(told["refused"])
        folder = RunFolder(Path(told["folder"]))
        if not told["over"]:
            require_same(told["same"], prepared, processes)
            _train(prepared, backend, processes, told, folder)
            processes.tell()  # process 0 is done
        return folder
    finally:
        processes.leave()


def _train(prepared: Prepared, backend: Backend, processes: Processes, told: Mapping[str, Any], folder: RunFolder) -> None:
    keep_freed_memory()
    with StopSignals() as signals, using(Choices(told["choices"], measuring=False)):
        trainee = build_share(prepared, processes)
        start = _loaded(prepared, trainee, processes, folder)
        training = training_of(prepared, start, processes)
        events = SharedEvents(NoEvents(signals.requested), processes, trainee.state, prepared.experiment.trainer.checkpoint.every_n_steps)
        if processes.tell_json()["try_out"]:
            untrained_totals(prepared, training, trainee)
        if processes.tell_json()["train"]:
            trainee.fit(training, events)


def _loaded(prepared: Prepared, trainee: Any, processes: Processes, folder: RunFolder) -> Position:
    """Where the training starts: at the checkpoint that process 0 has loaded."""
    told = processes.tell_json()
    if told["checkpoint"] is None:
        return Position()
    checkpoint = CheckpointStore(folder.checkpoints).load(told["checkpoint"])
    if checkpoint.progress.position.step != told["step"]:
        raise CheckpointError(f"{folder.checkpoints / told['checkpoint']} is not the checkpoint that process 0 goes on from")
    load_share(trainee, checkpoint.state, processes)
    return checkpoint.progress.position


def main() -> int:
    """Helps as the first line of the standard input tells; the end of that tells that process 0 is gone."""
    from framework.spec.validate import validate_experiment

    with open(0, "rb", buffering=0, closefd=False) as first:  # unbuffered: a thread waits for its end, also while Python ends
        told = json.loads(first.readline())
    fields = {**told["world"], "addresses": tuple(told["world"]["addresses"])}
    world = World(**fields)
    # The way to the screen is kept: while an engine is loaded, what is written to errors may go nowhere.
    threading.Thread(target=_end_with_first, args=(world, told["pid"], os.dup(2)), daemon=True).start()
    warnings.simplefilter("ignore")  # process 0 says the same
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Process 0 reads a line when this one arrives; whatever else is printed goes where errors go.
    door = os.dup(1)
    os.dup2(2, 1)
    try:
        help_training(validate_experiment(told["experiment"]), world, partial(_arrive, door))
    except LostProcess:
        time.sleep(_MOMENT)  # where process 0 is gone, that is said meanwhile
        return LOST
    except GateworkError as error:
        time.sleep(_MOMENT)  # where process 0 has the same error, it ends this one meanwhile
        print(f"{world}: {error}", file=sys.stderr, flush=True)
        return EXIT_FAILED
    return 0


def _arrive(door: int) -> None:
    os.write(door, b"here\n")
    os.close(door)


def _end_with_first(world: World, pid: int, screen: int) -> None:
    os.read(0, 1)
    if world.rank == 1:
        gone = f"process 0 of {world.size} (pid {pid}) is gone, and the others end too"
        os.write(screen, f"{gone}; the same command goes on\n".encode())
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    sys.exit(main())
