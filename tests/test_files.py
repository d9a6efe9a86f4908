"""A file is there whole, whoever writes at the same time; nothing is written through links, and only plain files are read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from framework.config.saved import save_resolved
from framework.data.vocabulary import Vocabulary
from framework.engine.run.files import write_json, write_text
from framework.engine.run.folder import RunFolder, remember_last
from framework.files import open_plain, parse_json, read_plain, replace_text, replacing
from framework.report.curves import plot_curves
from framework.tracking.note import NOTE, Note
from framework.weights.store import load_weights, save_weights

ROUNDS = 100

WRITERS: dict[str, Callable[[Path, int], None]] = {
    "text": lambda folder, number: write_text(folder / "last", f"{number}\n" * 50),
    "json": lambda folder, number: write_json(folder / "run.json", [number] * 50),
    "weights": lambda folder, number: save_weights(folder / "a.safetensors", {"a": np.full(50, number)}),
    "vocabulary": lambda folder, number: Vocabulary.of("abc"[: 1 + number % 3]).save(folder / "vocabulary.json"),
    "yaml": lambda folder, number: save_resolved(folder / "resolved.yaml", {"number": number}),
    "note": lambda folder, number: Note(folder).update(run_id=str(number)),
    "picture": lambda folder, number: plot_curves(folder / "loss.png", {"loss": [(0.0, number), (1.0, 2.0)]}, "t"),
    "last run": lambda folder, number: remember_last(RunFolder(folder.resolve() / "recipe" / f"run-{number}"), str(folder)),
}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_has_the_permissions_that_the_umask_gives(kind: str, tmp_path: Path, umask: None) -> None:
    WRITERS[kind](tmp_path, 1)
    assert [oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == ["0o640"]


@pytest.mark.torch
def test_so_has_a_state_dict(tmp_path: Path, umask: None) -> None:
    from framework.backends.torch.state_dict import save_state_dict

    save_state_dict(tmp_path / "a.pt", {"a": np.zeros(3, np.float32)})
    assert [oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == ["0o640"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_link_is_replaced_and_never_written_through(kind: str, tmp_path: Path) -> None:
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    WRITERS[kind](own, 1)
    [path] = own.iterdir()
    outside.write_bytes(path.read_bytes())
    before = outside.read_bytes()
    path.unlink()
    path.symlink_to(outside)
    WRITERS[kind](own, 2)
    assert outside.read_bytes() == before
    assert [one.is_symlink() for one in own.iterdir()] == [False]


@pytest.mark.parametrize("kind", WRITERS)
def test_threads_that_write_one_file_do_not_meet(kind: str, tmp_path: Path) -> None:
    failed: list[BaseException] = []
    rounds = 3 if kind == "picture" else ROUNDS // 4

    def write(first: int) -> None:
        try:
            for number in range(first, first + rounds):
                WRITERS[kind](tmp_path, number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(list(tmp_path.iterdir())) == 1, "no temporary file is left"


WRITE = """
import sys, threading
from pathlib import Path
from framework.engine.run.files import write_text
def write():
    for number in range(100):
        write_text(Path(sys.argv[1]), sys.argv[2] * 5000)
threads = [threading.Thread(target=write) for _ in range(8)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.slow
def test_eight_threads_in_each_of_four_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "last"
    write_text(path, "0" * 5000)
    line = [sys.executable, "-c", WRITE, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*line, str(number)], **pipes) for number in range(4)]  # type: ignore[call-overload]
    for one in writers:
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        one.stdin.write("\n")
        one.stdin.flush()
    while any(one.poll() is None for one in writers):
        content = path.read_text()
        assert len(content) == 5000
        assert len(set(content)) == 1, "a reader always finds one writer's whole text"
    assert [(one.returncode, one.communicate()[1]) for one in writers] == [(0, "")] * 4
    assert [one.name for one in tmp_path.iterdir()] == ["last"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_text(path, "old")
    with pytest.raises(KeyError), replacing(path) as part:
        part.write_text("new")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_name_has_room_for_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".safetensors")
    save_weights(path, {"a": np.arange(3)})
    assert load_weights(path)["a"].tolist() == [0, 1, 2]


def test_the_file_and_its_folder_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.readlink(f"/proc/self/fd/{descriptor}")), real(descriptor)))
    Note(tmp_path).update(run_id="1")
    assert len(synced) == 2
    assert Path(synced[0]).name.endswith(NOTE)
    assert Path(synced[1]) == tmp_path


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match=r"is no plain file|Is a directory"):
            read_plain(path)
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with open_plain(tmp_path / "link") as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[" * 900 + b"]" * 900, b'{"a":' * 5000, b"\xff", b"1" * 5000, b"", b"{"])
def test_json_that_cannot_be_read_is_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)
