"""One process a run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from framework.engine.lock import RunLock
from framework.errors import RunError


def test_the_lock_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / "lock").exists()


def test_a_second_start_is_refused_by_name(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from framework.engine.lock import RunLock\n"
    code += "with RunLock(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {other.pid} on {socket.gethostname()}"), RunLock(tmp_path):
            pass
        other.stdin.close()
        assert other.wait(timeout=10) == 0
    with RunLock(tmp_path):
        pass


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize("content", ["", "no json", None])
def test_a_lock_whose_owner_is_gone_is_taken_over(tmp_path: Path, content: str | None) -> None:
    owner = {"pid": dead_process(), "host": socket.gethostname(), "started": "1"}
    (tmp_path / "lock").write_text(json.dumps(owner) if content is None else content)
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_process_id_used_again_by_another_program_is_no_owner(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": "1"}))
    with RunLock(tmp_path):
        pass


def test_an_owner_on_another_host_is_taken_to_be_alive(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    with pytest.raises(RunError, match="process 1 on elsewhere"), RunLock(tmp_path):
        pass


def test_a_file_where_the_run_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file; a run needs a folder there"), RunLock(tmp_path / "run"):
        pass
