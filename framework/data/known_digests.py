"""Digests of files, remembered with what tells that a file is still the same: a large file is read once, not at each start."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from framework.files import read_json, replace_text

Stamp = tuple[int, int, int, int]
"""Size, times of the last change of the content and of anything (in nanoseconds), and number of a file."""

SETTLED = 2.0
"""Seconds for which a file must have been left alone before it is read. Where file systems count time in steps (FAT: two seconds), a
second change may leave the time of the first one."""


def stamp_of(file: Path) -> Stamp:
    """What changes when a file is written to or another one takes its place.

    Whoever writes to a file may put the time of its content back, as ``touch`` and ``cp -p`` do; the other time is the system's own.

    Raises:
        OSError: the file is not there.
    """
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class KnownDigests:
    """What is remembered of some files; to be made before they are read.

    Args:
        root: folder where it is remembered.
        files: the files, in an order that is always the same.

    Raises:
        OSError: a file is not there.
    """

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        names = "\0".join(os.path.abspath(file) for file in files)
        self._record = root / f"{hashlib.sha256(names.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
        self._files = tuple(files)
        self._began = time.time()
        self.stamps = [stamp_of(file) for file in files]

    def digests(self) -> list[str | None]:
        """The digest of each file; None where the file is new, or may have changed since it was read."""
        try:
            known = dict(_entry(one) for one in read_json(self._record))
        except (OSError, ValueError, TypeError):
            known = {}
        return [known.get((number, *stamp)) for number, stamp in enumerate(self.stamps)]

    def keep(self, digests: Sequence[str]) -> None:
        """Remembers the digests of files that were read since this object was made, but for those that were changed just before or since.

        A cache that cannot be written remembers nothing.
        """
        kept = []
        for number, (file, stamp, digest) in enumerate(zip(self._files, self.stamps, digests, strict=True)):
            with suppress(OSError):
                if _changed(stamp) < self._began - SETTLED and stamp_of(file) == stamp:
                    kept.append([number, *stamp, digest])
        with suppress(OSError):
            replace_text(self._record, json.dumps(kept) + "\n")


def _entry(saved: Any) -> tuple[tuple[int, ...], str]:
    """A file's number and stamp, and its digest.

    Raises:
        ValueError: it is no such entry.
    """
    *stamp, digest = saved
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("no digest")
    return tuple(stamp), digest


def _changed(stamp: Stamp) -> float:
    """When a file was last changed, in seconds; Windows has no time of its own for that."""
    _, content, anything, _ = stamp
    return (anything if os.name == "posix" else content) / 1e9
