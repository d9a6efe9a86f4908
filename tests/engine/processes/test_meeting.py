"""A process that waits for the others in vain ends, also where the engine holds its interpreter meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HOLDS_THE_INTERPRETER = """
import ctypes, subprocess, sys
from framework.engine.processes.meeting import at_most
with at_most(30.0, "in vain", {}):
    pass
print("in time", flush=True)
others = {name: subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for name in ("first", "second")}
if "killed" in sys.argv:
    others["second"].kill()
with at_most(1.0, "in vain", {name: one.pid for name, one in others.items()}):
    ctypes.PyDLL(None).sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of processes")
@pytest.mark.parametrize(("words", "line"), [((), "in vain"), (("killed",), "second is gone; the same command tries again")])
def test_it_ends_and_names_who_is_gone(words: tuple[str, ...], line: str) -> None:
    command = [sys.executable, "-c", HOLDS_THE_INTERPRETER, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "in time\n")
    assert done.stderr.splitlines()[0] == line
