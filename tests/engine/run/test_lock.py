"""One process a run, whoever dies, pauses or has children."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from framework.engine.run.lock import RunLock, in_use
from framework.errors import RunError

HOLDER = "import os, subprocess, sys, time; from pathlib import Path; from framework.engine.run.lock import RunLock\n"
HOLD = HOLDER + "with RunLock(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"


@contextmanager
def process(code: str, *words: object, says: str = "held") -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said its first word; it reads its end from stdin."""
    line = [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == f"{says}\n"
        try:
            yield other
        finally:
            other.kill()


def is_refused(folder: Path) -> bool:
    try:
        with RunLock(folder):
            return False
    except RunError:
        return True


def test_the_lock_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        owner = json.loads((tmp_path / "lock").read_text())
        assert (owner["pid"], owner["host"]) == (os.getpid(), socket.gethostname())
    assert not (tmp_path / "lock").exists()


def test_a_second_start_is_refused_by_name(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as other:
        with pytest.raises(RunError, match=f"in use by process {other.pid} on {socket.gethostname()}"), RunLock(tmp_path):
            pass
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(timeout=10) == 0
    with RunLock(tmp_path):
        pass


def test_two_threads_of_one_process_do_not_share_it(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        assert is_refused(tmp_path)
        assert in_use(tmp_path)
    assert not is_refused(tmp_path)


# --- owners that are gone ---------------------------------------------------------------------------------------------------------


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize("content", ["", "no json", "[1]", '{"pid": "text"}', '{"pid": -1}', '{"pid": 1e400}', None])
def test_a_lock_whose_owner_is_gone_is_taken_over(tmp_path: Path, content: str | None) -> None:
    owner = {"pid": dead_process(), "host": socket.gethostname(), "started": "1"}
    (tmp_path / "lock").write_text(json.dumps(owner) if content is None else content)
    assert not in_use(tmp_path)
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_an_owner_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as other:
        assert in_use(tmp_path)
        other.kill()
        other.wait()
        assert (tmp_path / "lock").exists()
        assert not in_use(tmp_path)
        assert not is_refused(tmp_path)


def test_what_is_left_of_an_owner_on_another_host_that_is_gone_does_not_block(tmp_path: Path) -> None:
    """A cluster's job that goes on on another node: the system, not the file, says whether the owner lives."""
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1", "lock": "flock"}))
    assert not in_use(tmp_path)
    assert not is_refused(tmp_path)


TAKER = HOLDER + (
    "import framework.engine.run.lock as lock\n"
    "real = lock._parsed\n"
    "def pausing(content):\n"
    "    print('paused', flush=True); sys.stdin.readline(); return real(content)\n"
    "lock._parsed = pausing\n"
    "with RunLock(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def test_a_taker_that_pauses_keeps_others_out(tmp_path: Path) -> None:
    """Two processes find a dead owner's lock; one stands still just before it writes its own name."""
    (tmp_path / "lock").write_text(json.dumps({"pid": dead_process(), "host": socket.gethostname(), "started": "1"}))
    with process(TAKER, tmp_path, says="paused") as paused:
        assert is_refused(tmp_path)
        assert paused.stdin is not None and paused.stdout is not None
        paused.stdin.write("\n")
        paused.stdin.flush()
        assert paused.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"process {paused.pid}"), RunLock(tmp_path):
            pass


RACER = (
    "import sys, time; from pathlib import Path; from framework.engine.run.lock import RunLock; from framework.errors import RunError\n"
    "import framework.engine.run.lock as lock\n"
    "lock._PATIENCE = 0.0\n"
    "folder, won = Path(sys.argv[1]), 0\n"
    "print('held', flush=True); sys.stdin.readline()\n"
    "for number in range(300):\n"
    "    try:\n"
    "        with RunLock(folder / 'run'):\n"
    "            (folder / 'inside').mkdir(); won += 1; time.sleep(0.0005); (folder / 'inside').rmdir()\n"
    "    except RunError: time.sleep(0.0005)\n"
    "print(won, flush=True)"
)


def test_of_many_that_race_for_it_one_is_inside_at_a_time(tmp_path: Path) -> None:
    """A folder that can be made only once: who meets another inside ends with an error."""
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(3)]
    for one in racers:
        assert one.stdout is not None
        assert one.stdout.readline() == "held\n"
    results = []
    for one in racers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in racers:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, err) == (0, "")
        results.append(int(out))
    assert sum(results) > 100


# --- children ---------------------------------------------------------------------------------------------------------------------

FORKING = HOLDER + (
    "with RunLock(Path(sys.argv[1])):\n"
    "    if os.fork() == 0:\n"
    "        time.sleep(float(sys.argv[2])); sys.exit()\n"  # leaves the block too, as the parent would
    "    print('held', flush=True); sys.stdin.read()"
)
STARTING = HOLDER + (
    "with RunLock(Path(sys.argv[1])):\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], close_fds=sys.argv[2] == 'closed')\n"
    "    print('held', flush=True); sys.stdin.read()"
)
LOADING = HOLDER + (
    "import torch\n"
    "from torch.utils.data import DataLoader\n"
    "with RunLock(Path(sys.argv[1])):\n"
    "    loader = DataLoader(list(range(8)), num_workers=2, persistent_workers=True, multiprocessing_context='fork')\n"
    "    list(loader); [os.kill(one.pid, 19) for one in loader._iterator._workers]\n"  # stopped: they do not see their parent die
    "    print(*(one.pid for one in loader._iterator._workers), flush=True); sys.stdin.read()"
)


def test_a_forked_child_that_lives_longer_does_not_keep_it(tmp_path: Path) -> None:
    with process(FORKING, tmp_path, 30) as other:
        assert is_refused(tmp_path)
        other.kill()
        other.wait()
        assert not in_use(tmp_path)
        assert not is_refused(tmp_path)


def test_a_forked_child_that_ends_does_not_let_it_go(tmp_path: Path) -> None:
    with process(FORKING, tmp_path, 0) as other:
        time.sleep(0.5)
        assert (tmp_path / "lock").exists()
        with pytest.raises(RunError, match=f"process {other.pid} on "), RunLock(tmp_path):
            pass


@pytest.mark.parametrize("files", ["closed", "open"])
def test_a_program_that_was_started_does_not_keep_it(tmp_path: Path, files: str) -> None:
    with process(STARTING, tmp_path, files) as other:
        other.kill()
        other.wait()
        assert not is_refused(tmp_path)


@pytest.mark.slow
@pytest.mark.torch
def test_workers_of_a_data_loader_do_not_keep_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LOADING, str(tmp_path)], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        workers = [int(word) for word in other.stdout.readline().split()]
        assert len(workers) == 2
        try:
            assert is_refused(tmp_path)
            other.kill()
            other.wait()
            for worker in workers:
                os.kill(worker, 0)  # it is there still
            assert not is_refused(tmp_path)
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)


# --- whoever only looks -----------------------------------------------------------------------------------------------------------


def test_looking_disturbs_neither_the_owner_nor_who_starts(tmp_path: Path) -> None:
    done = threading.Event()
    seen: list[bool] = []

    def look() -> None:
        while not done.is_set():
            seen.append(in_use(tmp_path))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            with RunLock(tmp_path):
                assert in_use(tmp_path)
                assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert True in seen
    assert not in_use(tmp_path)
    assert list(tmp_path.iterdir()) == [], "looking makes no file"


# --- the lock of older versions: the file alone -----------------------------------------------------------------------------------


def test_a_process_id_used_again_by_another_program_is_no_owner(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": "1"}))
    assert not is_refused(tmp_path)


def test_a_living_owner_of_an_older_version_counts(tmp_path: Path) -> None:
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    old = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started})
    (tmp_path / "lock").write_text(old)
    assert in_use(tmp_path)
    assert is_refused(tmp_path)
    assert (tmp_path / "lock").read_text() == old


def test_an_older_owner_on_another_host_is_taken_to_be_alive(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    with pytest.raises(RunError, match="process 1 on elsewhere"), RunLock(tmp_path):
        pass


# --- places -----------------------------------------------------------------------------------------------------------------------


def test_a_file_where_the_run_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file; a run needs a folder there"), RunLock(tmp_path / "run"):
        pass


def test_a_folder_where_the_lock_should_be(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*lock: Is a directory"), RunLock(tmp_path):
        pass


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match=r"lies on a file system without locks \(Function not implemented\)"), RunLock(tmp_path):
        pass


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "config", "lock", "samples/deep/link", ".run.json.part", "gone"])
def test_a_folder_with_links_in_it_is_refused_and_nothing_outside_written(tmp_path: Path, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(outside / ("kept" if "." in name else "") if name != "gone" else tmp_path / "nowhere")
    with pytest.raises(RunError, match=f"{name} is a link to"), RunLock(run):
        pass
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"kept": "kept"}
    assert not (tmp_path / "nowhere").exists()
    assert not in_use(run) or name == "lock"


def test_a_pipe_in_the_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(RunError, match=r"metrics\.jsonl is neither a file nor a folder"), RunLock(tmp_path):
        pass
