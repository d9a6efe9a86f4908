"""A digest is remembered as long as nothing says that its file may be another one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from framework.data import known_digests
from framework.data.known_digests import KnownDigests, stamp_of

DIGEST = "0" * 64


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that has been left alone for long enough."""
    monkeypatch.setattr(known_digests, "SETTLED", 0.0)
    file = tmp_path / "text.txt"
    file.write_text("some text")
    time.sleep(0.05)  # file systems count time in steps
    return file


def test_what_was_kept_is_known_until_the_file_changes(file: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    assert KnownDigests(memory, [file]).digests() == [None]
    KnownDigests(memory, [file]).keep([DIGEST])
    assert KnownDigests(memory, [file]).digests() == [DIGEST]
    assert KnownDigests(memory, [file, file.parent / "text.txt"]).digests() == [None, None]  # other files
    times = file.stat()
    file.write_text("more text")  # as long as before, with the time of its content put back
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stamp_of(file)[:2] == (9, times.st_mtime_ns)
    if os.name == "posix":
        assert KnownDigests(memory, [file]).digests() == [None]


def test_another_file_in_its_place_is_not_known(file: Path, tmp_path: Path) -> None:
    KnownDigests(tmp_path / "memory", [file]).keep([DIGEST])
    os.replace(file, tmp_path / "old.txt")
    file.write_text("some text")
    times = (tmp_path / "old.txt").stat()
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert KnownDigests(tmp_path / "memory", [file]).digests() == [None]


def test_a_file_that_is_still_being_written_is_not_remembered(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownDigests(tmp_path / "memory", [file])
    with file.open("a") as more:
        more.write("!")
    known.keep([DIGEST])
    assert KnownDigests(tmp_path / "memory", [file]).digests() == [None]
    monkeypatch.setattr(known_digests, "SETTLED", 60.0)
    KnownDigests(tmp_path / "memory", [file]).keep([DIGEST])
    assert KnownDigests(tmp_path / "memory", [file]).digests() == [None]


@pytest.mark.parametrize("content", ["", "[", "{}", "[1]", "[[0, 1, 2, 3, 4, 5]]", '[[0, 9, 2, 3, 4, "x"]]', "null"])
def test_a_damaged_memory_knows_nothing(file: Path, tmp_path: Path, content: str) -> None:
    KnownDigests(tmp_path / "memory", [file]).keep([DIGEST])
    [record] = (tmp_path / "memory").iterdir()
    record.write_text(content)
    assert KnownDigests(tmp_path / "memory", [file]).digests() == [None]
    KnownDigests(tmp_path / "memory", [file]).keep([DIGEST])
    assert KnownDigests(tmp_path / "memory", [file]).digests() == [DIGEST]


def test_a_memory_that_cannot_be_written_does_no_harm(file: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file")
    known = KnownDigests(tmp_path / "memory", [file])
    known.keep([DIGEST])
    assert known.digests() == [None]
