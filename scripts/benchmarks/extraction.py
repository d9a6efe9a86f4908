"""``gatework features`` in processes of its own with a cache of its own, to be watched, killed, and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.counted import LINE_BYTES
from framework.data.captions.seen import FEATURES_FOLDER
from framework.data.features.store import DIGEST_BYTES, INDEX, VALUES
from framework.errors import GateworkError, InputError

_SCRIPTS = Path(__file__).parents[1]


class Extraction:
    """One data set's features, computed from nothing by one or more processes.

    Args:
        words: overrides of the config.
        folder: where the features are kept, and a line for each image that was computed; it must have room for both.
    """

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self._words = [*words, f"paths.cache_dir={folder / 'cache'}"]
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def running(self, counted: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """The command as the first process of a group, whose processes all are killed at the block's end.

        Args:
            counted: whether :attr:`computed` counts what it computes.
        """
        program = ["benchmarks.counted", str(self._folder / "computed")] if counted else ["framework", "features"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_SCRIPTS), *filter(None, sys.path)])}
        with (self._folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", *program, *self._words], stdout=said, stderr=said, env=environment, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def finish(self, counted: bool = False) -> None:
        """Runs the command to its end.

        Raises:
            InputError: it fails.
        """
        with self.running(counted) as process:
            process.wait()
        self.check(process)

    def check(self, process: subprocess.Popen[bytes]) -> None:
        """Checks that a process that has ended has ended well.

        Raises:
            InputError: it has not; with what it said.
        """
        if process.returncode:
            said = (self._folder / "said").read_text(errors="replace")
            raise InputError(said.rpartition("error: ")[2].strip() or f"the command ended with code {process.returncode}")

    @property
    def images(self) -> int:
        """Images whose features are kept."""
        return sum(file.stat().st_size // DIGEST_BYTES for file in self._files(INDEX))

    @property
    def computed(self) -> int:
        """Images that were given to the extractor, those that were given twice counted twice."""
        file = self._folder / "computed"
        return file.stat().st_size // LINE_BYTES if file.is_file() else 0

    def differing(self, other: Extraction) -> int:
        """Images whose features are not those of another extraction to the bit, and images that only one of them has."""
        ours, theirs = self._values(), other._values()
        same = sum(bool(np.array_equal(one, theirs[digest])) for digest, one in ours.items() if digest in theirs)
        return len(ours.keys() | theirs.keys()) - same

    def _values(self) -> dict[bytes, NDArray[np.uint8]]:
        """The bytes of each image's features, mapped into memory, by the image's digest."""
        [index], [values] = self._files(INDEX), self._files(VALUES)
        content = index.read_bytes()
        digests = [content[at : at + DIGEST_BYTES] for at in range(0, len(content), DIGEST_BYTES)]
        if len(set(digests)) < len(digests):
            raise GateworkError(f"'{index}' names an image twice")
        rows = np.memmap(values, np.uint8, "r").reshape(len(digests), -1)
        return dict(zip(digests, rows, strict=True))

    def _files(self, name: str) -> list[Path]:
        return list((self._folder / "cache" / FEATURES_FOLDER).glob(f"*/{name}"))
