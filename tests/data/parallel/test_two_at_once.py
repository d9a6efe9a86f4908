"""Of two processes that prepare the same pairs at once, one does the work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import numbered

PROGRAM = """
import sys, time
from framework.data.parallel import cache
from framework.data.prepare import prepare
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec
build = cache.build
def slowly(*arguments):
    print("built", flush=True)
    time.sleep(2.0)
    build(*arguments)
cache.build = slowly
spec = ParallelTextDataSpec.model_validate({"path": sys.argv[1], "batch_size": 4, "drop_remainder": False})
print(prepare(spec, PathsSpec(cache_dir=sys.argv[2]), 0).digest)
"""


def test_of_two_processes_one_prepares_the_pairs_and_the_other_waits(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\n" for line in numbered(40)))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "pairs.tsv"), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate() for one in both]
    assert sorted(out.split().count("built") for out, _ in said) == [0, 1], said
    assert len({out.split()[-1] for out, _ in said}) == 1
    waiting = f"waiting for another process, which makes the pairs of {tmp_path / 'pairs.tsv'}\n"
    assert sorted(err for _, err in said) == ["", waiting]
    assert len(list((tmp_path / "cache" / "pairs").iterdir())) == 1
