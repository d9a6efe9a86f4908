"""How a process meets the others of its training, and ends where that takes too long.

An engine may hold Python's interpreter while it waits for the others, as TensorFlow does: no thread and no signal handler of the process
runs then, so that another process has to watch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from framework.backends.base.processes import Processes, World
from framework.backends.base.registry import load_backend
from framework.spec.experiment import Experiment

_MARGIN = 2.0
"""Seconds that an engine has to give up by itself."""

_WATCHER = """
import os, signal, sys, threading, time

seconds, pid, line = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
others = dict(zip(sys.argv[4::2], map(int, sys.argv[5::2])))


def ended(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False


over = threading.Thread(target=sys.stdin.read, daemon=True)
over.start()
over.join(seconds)
if over.is_alive():
    gone = [name for name, other in others.items() if ended(other)]
    os.write(2, (f"{gone[0]} is gone; the same command tries again" if gone else line).encode() + b"\\n")
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
os._exit(0)
"""


def meet(experiment: Experiment, world: World, others: Mapping[str, int] | None = None) -> Processes:
    """Meets the other processes of a training, or ends this one.

    Args:
        experiment: the config.
        world: the processes, and which of them this is.
        others: process ids of those that were started here, by what they are called.

    Raises:
        BackendUnavailable: they cannot be reached.
    """
    backend = load_backend(experiment.backend.name)
    with at_most(world.patience + _MARGIN, f"{world} waited {world.patience:.0f} s in vain for the others", others or {}):
        return backend.join(world, experiment.backend)


@contextmanager
def at_most(seconds: float, line: str, others: Mapping[str, int]) -> Iterator[None]:
    """Ends this process at once where the block takes longer.

    Args:
        seconds: that it may take.
        line: said then, unless one of the others is gone, which is named.
        others: their process ids by name.
    """
    named = [word for name, pid in others.items() for word in (name, str(pid))]
    command = [sys.executable, "-I", "-S", "-c", _WATCHER, str(seconds), str(os.getpid()), line, *named]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):  # its input ends with the block, or with this process
        yield
