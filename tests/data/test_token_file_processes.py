"""Several processes and one token file: what a kill leaves is begun again, and of two at once one makes it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framework.data.text import prepare_text
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

PROGRAM = """
import sys, time
from framework.data import known_digests, text, token_file
from framework.data.stream import _Growing
from framework.data.text import prepare_text
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

path, cache, pause, limit = sys.argv[1:]
if int(limit):
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
text.IN_MEMORY = known_digests.SETTLED = 0
append = _Growing.append
def slowly(self, ids):
    print("block", flush=True)
    time.sleep(float(pause))
    append(self, ids)
_Growing.append = slowly
from framework.errors import GateworkError
try:
    data = prepare_text(TextDataSpec(path=path, batch_size=4, sequence_length=10), PathsSpec(cache_dir=cache), 0)
except GateworkError as error:
    print(error)
    raise SystemExit(error.exit_code)
print(data.digest)
"""


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A text of eight blocks, written a while ago."""
    file = tmp_path / "long.txt"
    file.write_text("".join(f"line {number} of this text\n" for number in range(80_000)))
    time.sleep(0.05)
    return file


def folders(cache: Path) -> list[Path]:
    return list((cache / "tokens").iterdir())


def start(file: Path, cache: Path, pause: float = 0.0, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(file), str(cache), str(pause), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def digest_in_memory(file: Path) -> str:
    return prepare_text(TextDataSpec(path=str(file), batch_size=4, sequence_length=10), PathsSpec(), 0).digest


def test_what_a_kill_has_left_is_begun_again(long: Path, tmp_path: Path) -> None:
    child = start(long, tmp_path / "cache", pause=0.2)
    assert child.stdout is not None
    for _ in range(4):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    left = [one.name for one in folders(tmp_path / "cache")]
    assert any(name.startswith(".part-") for name in left), left
    again = start(long, tmp_path / "cache").communicate()[0].split()
    assert again[-1] == digest_in_memory(long) and again.count("block") >= 8
    [folder] = folders(tmp_path / "cache")
    assert not folder.name.startswith(".part-")


def test_of_two_processes_one_makes_the_file_and_the_other_says_that_it_waits(long: Path, tmp_path: Path) -> None:
    both = [start(long, tmp_path / "cache", pause=0.3) for _ in range(2)]
    said = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sorted(out.split().count("block") > 0 for out, _ in said) == [False, True]
    assert {out.split()[-1] for out, _ in said} == {digest_in_memory(long)}
    waiting = f"waiting for another process, which makes the tokens of {long}\n"
    assert sorted(err for _, err in said) == ["", waiting]
    assert len(folders(tmp_path / "cache")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
def test_a_disk_that_is_full_is_named_and_left_as_it_was(long: Path, tmp_path: Path) -> None:
    child = start(long, tmp_path / "cache", limit=1_000_000)
    out, err = child.communicate()
    assert child.returncode == 2 and err == ""
    assert out.splitlines()[-2:] == [
        f"paths.cache_dir: '{tmp_path / 'cache' / 'tokens'}' cannot be written: File too large",
        "    hint: set paths.cache_dir to a folder that can be written and has room",
    ]
    assert folders(tmp_path / "cache") == []


MEASURED = """
import sys
from itertools import islice
from framework.data.text import prepare_text
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec
path, cache, level = sys.argv[1:]
spec = TextDataSpec(path=path, level=level, validation_fraction=0.1)
data = prepare_text(spec, PathsSpec(cache_dir=cache), 0)
print(sum(batch.rows for epoch in (0, 1) for batch in islice(data.train.epoch(epoch), 500)), data.digest)
"""
MEBIBYTE = 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("level", ["character", "word"])
def test_a_long_text_takes_hardly_more_memory_than_a_short_one(tmp_path: Path, level: str) -> None:
    peaks, seconds = {}, list[float]()
    for size in (1, 200, 200):
        file = tmp_path / f"{size}.txt"
        if not file.exists():
            line = "To be, or not to be, that is the question:\n"
            with file.open("w") as text:
                for _ in range(size):
                    text.write((line * (MEBIBYTE // len(line) + 1))[:MEBIBYTE])
        began = time.monotonic()
        peaks[size] = max(peaks.get(size, 0), own_memory([str(file), str(tmp_path / "cache"), level]))
        seconds.append(time.monotonic() - began)
        print(f"{level}, {size} MiB: {seconds[-1]:.1f} s, at most {peaks[size] / MEBIBYTE:.0f} MiB")
    assert peaks[200] - peaks[1] < 60 * MEBIBYTE, "a batch, its order, and the pieces in work; the text alone has 200"
    assert seconds[2] - seconds[0] < 2.0, "the second start reads neither the text nor the tokens"


def own_memory(arguments: list[str]) -> int:
    """The most memory, in bytes, that a process has of its own at any time; pages of mapped files are not counted."""
    process = subprocess.Popen([sys.executable, "-c", MEASURED, *arguments], stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, *(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon")), 0)
        time.sleep(0.02)
    assert process.returncode == 0
    return peak
