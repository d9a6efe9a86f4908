"""A lock that other processes feel, and that dies with its holder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from framework.file_lock import file_lock, is_locked

HOLDER = "import sys, time; from pathlib import Path; from framework.file_lock import file_lock\n"
HOLDER += "with file_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    assert not is_locked(path)
    path.parent.mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(path)
    with pytest.raises(TimeoutError, match=r"another process has held .*lock for 0 seconds"), file_lock(path, 0.2):
        pass
    killer = threading.Timer(0.3, holder.kill)
    killer.start()
    told: list[str] = []
    with file_lock(path, waiting=lambda: told.append("waiting"), remove=True):
        assert not killer.is_alive()
    assert told == ["waiting"] and not path.exists()
    with file_lock(path, waiting=lambda: told.append("for nobody")):
        assert path.exists()
    assert told == ["waiting"]
    holder.wait()
    assert not is_locked(path)


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", [0], [0]

    def work() -> None:
        for _ in range(20):
            with file_lock(path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
