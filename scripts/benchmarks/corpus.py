"""A long text, prepared and trained on: seconds and memory of the first start and of the second, beside those of a short text.

The text is made of the lines of Shakespeare's, in a new order each time that they are repeated. ``gatework train`` runs on it with a cache
of its own in a temporary folder (``$TMPDIR``), which must have room for twice the text.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.own_memory import OwnMemory
from framework.config.compose import compose
from framework.data.download import find_download
from framework.data.known_digests import SETTLED
from framework.data.text import OFFLINE
from framework.errors import GateworkError
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

STEPS = 50

_MEGABYTE, _MEBIBYTE = 10**6, 2**20
_PAUSE = 0.02


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each start: of a text of 1 MB, whose second start all others are compared with, and of the long one.

    Both texts were there before: one that is still new might change within its file's time, and would be read once more.
    Seconds count from the command's start to when the run begins, its data prepared and its model planned, and to the command's end.
    ``own MiB`` is what the command's processes had of their own at most; pages of mapped files are not counted.
    """
    with tempfile.TemporaryDirectory(prefix="gatework-corpus-") as name:
        folder, rows = Path(name), list[dict[str, Any]]()
        for size in (1, arguments.megabytes):
            file = folder / f"{size}.txt"
            write_text(file, size * _MEGABYTE)
            time.sleep(SETTLED + 1)
            for start in ("first", "second"):
                prepared, seconds, memory = trained(file, folder, arguments.overrides)
                row: dict[str, Any] = {"text MB": size, "start": start, "prepared after s": prepared, f"{STEPS} steps after s": seconds}
                rows.append({**row, "own MiB": memory / _MEBIBYTE})
        least = rows[1]
        for row in rows:
            row["s above 1 MB's"] = row["prepared after s"] - least["prepared after s"]
            row["MiB above 1 MB's"] = row["own MiB"] - least["own MiB"]
        return rows


def write_text(file: Path, size: int) -> None:
    """Writes so many bytes of text: Shakespeare's lines, repeated, each time in another order.

    Args:
        file: to write.
        size: bytes.
    """
    spec = TextDataSpec.model_validate(compose(["data=shakespeare"], recipe_needed=False).mapping["data"])
    assert spec.download is not None
    lines = find_download(spec.download, PathsSpec(), OFFLINE).read_bytes().splitlines(keepends=True)
    draw, left = random.Random(0), size
    with file.open("wb") as stream:
        while left:
            draw.shuffle(lines)
            left -= stream.write(b"".join(lines)[:left])


def trained(file: Path, folder: Path, overrides: Sequence[str]) -> tuple[float, float, int]:
    """A training of some steps on a text: seconds to when the run begins and to the end, and the bytes that it had of its own at most.

    Raises:
        GateworkError: it failed.
    """
    words = ["recipe=text_generation", "data=text", f"data.path={file}", f"trainer.limit_train_batches={STEPS}", "trainer.max_epochs=1"]
    words += ["tracking=none", "resume=never", f"paths.cache_dir={folder / 'cache'}", f"paths.runs_dir={folder / 'runs'}", *overrides]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    prepared, memory, started = 0.0, 0, time.perf_counter()
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen([sys.executable, "-m", "framework", "train", *words], stdout=said, stderr=said, env=environment)
        held = OwnMemory(process.pid)
        try:
            while process.poll() is None:
                memory = max(memory, held.now())
                if not prepared and any(line.startswith("run ") for line in (folder / "said").read_text().splitlines()):
                    prepared = time.perf_counter() - started
                time.sleep(_PAUSE)
        finally:
            process.kill()
        seconds = time.perf_counter() - started
        said.seek(0)
        if process.returncode:
            raise GateworkError(f"the training ended with code {process.returncode}: {said.read()[-2000:]}")
    return prepared, seconds, memory
