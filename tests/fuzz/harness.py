"""Runs the command line thousands of times: imported once, then a forked process for each command, in a folder of its own.

    with ForkServer(preload=["framework.cli.check"], warm=[["check", "recipe=text_generation"]]) as server:
        outcome = server.run(["check", "recipe=mine"], folder)
        assert outcome.faults() == []

The server is a process of its own, so that nothing of a test's process (threads, loaded backends) is forked. It is this file, run
as a script, and answers one JSON line for each that it reads.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS = 20
MEGABYTES = 500
CODES = (0, 1, 2, 130)
"""What README promises: done, failed, the input is wrong, interrupted."""

_ADDRESS_SPACE = 16 * 2**30
"""Keeps a command that asks for memory without end from taking the machine's."""


@dataclass(frozen=True)
class Outcome:
    """How one command ended.

    Attributes:
        words: the command.
        code: exit code; the negative number of the signal that ended it.
        out: what it wrote to stdout.
        err: what it wrote to stderr.
        seconds: wall time.
        megabytes: the most resident memory at any time, in units of 2^20 bytes, what was preloaded included.
        timed_out: whether it had to be killed.
    """

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    megabytes: float
    timed_out: bool

    def faults(self, codes: Sequence[int] = CODES, megabytes: float = MEGABYTES, seconds: float = SECONDS) -> list[str]:
        """What no command may do, whatever its input; nothing where all is well."""
        found = []
        if self.timed_out or self.seconds > seconds:
            found.append(f"took {self.seconds:.1f} s")
        if self.code not in codes and not self.timed_out:
            found.append(f"ended with {self.code}")
        if self.megabytes > megabytes:
            found.append(f"took {self.megabytes:.0f} MB")
        if "Traceback (most recent call last)" in self.out + self.err:
            found.append("printed a traceback")
        if self.code not in (0, 130) and not self.err.strip() and not self.out.strip():
            found.append("failed without a word")
        return found


class ForkServer:
    """A process that has imported ``preload`` and forks for each command.

    Args:
        preload: modules to import before the first fork.
        warm: commands to run before the first fork, so that what is made at a first use is made once.
        environment: variables on top of this process' own.
        seconds: after which a command is killed.
        powerless: whether root, too, may only read and write what a file's permissions say.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        warm: Sequence[Sequence[str]] = (),
        environment: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        powerless: bool = False,
    ) -> None:
        self._seconds = seconds
        self._powerless = powerless
        self._folder = tempfile.TemporaryDirectory(prefix="gatework-fuzz-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_own_path(), **(environment or {})},
        )
        self._ask({"preload": list(preload), "warm": [list(words) for words in warm]})

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Outcome:
        """Runs one command.

        Args:
            words: without the program's name; bytes that are no UTF-8 as surrogates, as in ``sys.argv``.
            folder: where it runs.
            environment: variables on top of the server's; an empty one is taken away.
        """
        request = {"words": list(words), "folder": str(folder), "environment": dict(environment or {})}
        request |= {"seconds": self._seconds, "powerless": self._powerless}
        return Outcome(words=tuple(words), **self._ask(request))

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server has ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _own_path() -> dict[str, str]:
    """The server finds what this process finds, wherever it runs."""
    root = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _serve() -> None:
    import gc
    import importlib

    reading = sys.stdin.buffer
    writing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a warming command prints is no answer
    first = json.loads(reading.readline())
    for name in first["preload"]:
        importlib.import_module(name)
    main = importlib.import_module("framework.cli.main").main
    with open(os.devnull, "w") as nowhere:
        for words in first["warm"]:
            before, sys.stdout = sys.stdout, nowhere
            try:
                main(words)
            finally:
                sys.stdout = before
    gc.freeze()  # or a collection in the child would copy every page
    writing.write(b"{}\n")
    writing.flush()
    while line := reading.readline():
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            answer = _forked(main, request, out.fileno(), err.fileno())
            out.seek(0)
            err.seek(0)
            answer["out"], answer["err"] = (one.read().decode("utf-8", "replace") for one in (out, err))
        writing.write(json.dumps(answer).encode() + b"\n")
        writing.flush()


def _forked(main: Any, request: Mapping[str, Any], out: int, err: int) -> dict[str, Any]:
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_command(main, request, out, err)
    timed_out = False
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if not timed_out and time.monotonic() - started > request["seconds"]:
            timed_out = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    seconds = time.monotonic() - started
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what it has started and left behind
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": seconds, "megabytes": used.ru_maxrss / 1024, "timed_out": timed_out}


def _lose_powers() -> None:
    """Root without its capabilities is an owner of files like any other."""
    import ctypes

    if os.geteuid() != 0 or sys.platform != "linux":
        return
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)  # version 3 of the call, this process; no capability of any kind
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _be_command(main: Any, request: Mapping[str, Any], out: int, err: int) -> None:
    """What the forked process does; it never returns."""
    code: Any = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(request["seconds"]) + 1,) * 2)
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        for name, value in request["environment"].items():
            if value:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)
        if request["powerless"]:
            _lose_powers()
        os.chdir(request["folder"])
        try:
            code = main(request["words"])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()
