"""Starts the other processes of a training on this machine, and watches over them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from types import TracebackType

from framework.backends.base.processes import World
from framework.errors import EXIT_FAILED, LostProcess, RunError
from framework.spec.experiment import Experiment

LOST = 75
"""Exit code of a member that another process has left, which is how to tell it from that one: ``EX_TEMPFAIL`` of BSD's ``sysexits.h``."""

GRACE = 10.0
"""Seconds that process 0 has to end by itself once a member is gone; it may wait for that one where no error wakes it."""

_LOOK = 0.2

_PATIENCE = 20.0
"""Seconds in which all have met who are about to: each has prepared its data, and loaded what it computes with."""


class Members:
    """Processes 1 and up of a training, as a context manager; process 0 is this one.

    They get the config as it was resolved, never the command line. A member that is gone ends the others and this process; members end
    where this process is gone.

    Args:
        experiment: the config.
        size: all processes.
        mourn: told why this process has to end at once, if it does not by itself; the run is marked there.
    """

    def __init__(self, experiment: Experiment, size: int, mourn: Callable[[str], None]) -> None:
        self.experiment, self.mourn = experiment, mourn
        addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(size))
        self.world = World(0, size, 0, size, addresses, "trainer.devices", addresses[0], patience=_PATIENCE)
        self._members: list[subprocess.Popen[bytes]] = []
        self._gone: str | None = None
        self._over = threading.Event()

    def __enter__(self) -> Members:
        config = {**self.experiment.model_dump(mode="json"), "tracking": {"kind": "none"}}
        try:
            for rank in range(1, self.world.size):
                self._members.append(self._start(rank, config))
        except BaseException:
            self._kill()
            raise
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if error is None:
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and any(one.poll() is None for one in self._members):
                time.sleep(_LOOK / 10)
        self._kill()

    def gather(self) -> None:
        """Waits until every member is about to join the others, which may take as long as its data takes to prepare.

        An engine may wait for a process that is gone, and hold this one's interpreter meanwhile, so that nothing here could end it.

        Raises:
            LostProcess: one of them has ended instead.
        """
        for rank, one in enumerate(self._members, 1):
            assert one.stdout is not None
            if not one.stdout.readline():
                gone = self.who_is_gone() or f"{self._name(rank)} has ended"
                raise LostProcess(f"{gone} before the training began; the same command tries again")

    def pids(self) -> dict[str, int]:
        """The process id of each member, by what it is called."""
        return {self._name(rank): one.pid for rank, one in enumerate(self._members, 1)}

    def _name(self, rank: int) -> str:
        return f"process {rank} of {self.world.size} (pid {self._members[rank - 1].pid})"

    def who_is_gone(self) -> str | None:
        """Which member ended first and how, once it has; None where none has within a moment."""
        deadline = time.monotonic() + GRACE / 2
        while self._gone is None and time.monotonic() < deadline:
            time.sleep(_LOOK)
        return self._gone

    def _start(self, rank: int, config: dict[str, object]) -> subprocess.Popen[bytes]:
        world = replace(self.world, rank=rank, local_rank=rank)
        told = json.dumps({"experiment": config, "world": asdict(world), "pid": os.getpid()})
        try:
            command = [sys.executable, "-m", "framework.engine.run.member", f"{rank}/{world.size}"]  # seen in lists of processes
            member = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            assert member.stdin is not None
            member.stdin.write(told.encode() + b"\n")
            member.stdin.flush()  # it stays open: its end tells the member that this process is gone
        except OSError as error:
            raise RunError(f"process {rank} of {self.world.size} could not be started: {error}") from error
        return member

    def _watch(self) -> None:
        """Waits for a member to end before its time, and ends this process where that does not do it."""
        while not self._over.wait(_LOOK):
            ended = [(rank, one.returncode) for rank, one in enumerate(self._members, 1) if one.poll() is not None and one.returncode]
            first = [(rank, code) for rank, code in ended if code != LOST]
            if not first:
                continue
            rank, code = first[0]
            self._gone = f"{self._name(rank)} {_how(code)}"
            if not self._over.wait(GRACE):
                self._kill()
                self.mourn(self._gone)
                os._exit(EXIT_FAILED)
            return

    def _kill(self) -> None:
        for one in self._members:
            if one.poll() is None:
                one.kill()
            one.wait()
            for pipe in (one.stdin, one.stdout):
                if pipe is not None:
                    pipe.close()


def _how(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
