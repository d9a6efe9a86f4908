"""Ten million pairs take little more memory than ten thousand: they lie on the disk, and what is mapped of them is not counted."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

COUNT = 10_000_000
ALLOWED = 400 * 2**20

PROGRAM = """
import sys
from itertools import islice
from framework.data.prepare import prepare
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec
path, cache, order = sys.argv[1:]
spec = ParallelTextDataSpec.model_validate({
    "path": path, "order": order, "batch_tokens": 4096 if order == "buckets" else None, "max_length": 50,
    "validation_fraction": 0.01, "test_fraction": 0.01, "drop_remainder": False})
data = prepare(spec, PathsSpec(cache_dir=cache), 0)
rows = sum(batch.rows for epoch in (0, 1) for batch in islice(data.train.epoch(epoch), 2000))
print(rows, data.train.steps, len(data.examples["test"]), data.examples["test"][0].references[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
def test_ten_million_pairs_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    peaks = {}
    for count in (10_000, COUNT):
        write_pairs(tmp_path / "pairs.tsv", count)
        for order in ("shuffled", "buckets"):
            started = time.monotonic()
            peaks[order, count] = peak_memory([str(tmp_path / "pairs.tsv"), str(tmp_path / "cache"), order])
            print(f"{count:,} pairs, {order}: {time.monotonic() - started:.0f} s, at most {peaks[order, count] / 2**20:.0f} MiB")
    for order in ("shuffled", "buckets"):
        assert peaks[order, COUNT] - peaks[order, 10_000] < ALLOWED


def write_pairs(file: Path, count: int) -> None:
    """Pairs of 2 to 9 words of 20,000 different ones."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(20_000)]
    with file.open("w") as lines:
        for start in range(0, count, 10_000):
            chosen = draw.choices(words, k=200_000)
            for row in range(10_000):
                some = chosen[20 * row : 20 * row + 2 + row % 8]
                lines.write(f"{' '.join(some)} {start + row & 255}\t{' '.join(reversed(some))}\n")


def peak_memory(arguments: list[str]) -> int:
    """The most memory, in bytes, that a process has of its own at any time."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, *(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon")), 0)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak
