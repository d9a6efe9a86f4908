"""Features of images by the images' content, in one file that only grows: mapped into memory, never held."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.kept import HAS_ROOM, say_waiting
from framework.errors import DataError, Problem, RunError
from framework.file_lock import file_lock
from framework.files import read_json, replace_text
from framework.spec.features import FeaturesSpec

STORE_VERSION = 1
"""To be raised with any change to the files' form, or to how any features are computed."""

META, INDEX, VALUES, LOCK = "features.json", "index", "values", "lock"

DIGEST_BYTES = 32


def digest_of(content: bytes) -> bytes:
    """What an image is known by: the SHA-256 of its file."""
    return hashlib.sha256(content).digest()


class FeatureStore:
    """The features of one kind and one way to prepare images.

    ``values`` holds the features one image after the other, ``index`` the digests of the images in the same order. An image is there
    once its digest is whole; what a kill leaves of more is written over.

    Args:
        root: folder of all such stores.
        spec: kind and settings.
    """

    def __init__(self, root: Path, spec: FeaturesSpec) -> None:
        identity = json.dumps({"version": STORE_VERSION, **spec.identity()}, sort_keys=True)
        self.folder = root / f"{spec.kind}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        self.dtype = np.dtype("<f2" if spec.dtype == "float16" else "<f4")
        self._identity = identity
        self._kind = spec.kind
        self._rows: dict[bytes, int] = {}
        self._read = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the store for this process alone; waits for another one that writes.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            with file_lock(self.folder / LOCK, waiting=lambda: say_waiting(f"{self._kind} features")):
                yield
        except RunError as error:
            raise DataError(Problem("paths.cache_dir", str(error), hint=HAS_ROOM)) from error

    @property
    def shape(self) -> tuple[int, int] | None:
        """Places and width; None where nothing was ever written.

        Raises:
            DataError: the store says nonsense of itself.
        """
        try:
            about = read_json(self.folder / META)
            places, width = about["shape"]
            return int(places), int(width)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"features '{self.folder}' cannot be used: {error}; remove that folder") from error

    def rows(self, digests: Sequence[bytes]) -> NDArray[np.int64]:
        """Where the features of images are, ``(images,)``; -1 where they are not."""
        self._look()
        return np.array([self._rows.get(one, -1) for one in digests], np.int64)

    def values(self) -> NDArray[np.floating[Any]]:
        """``(images, places, width)``, mapped into memory."""
        self._look()
        shape = (len(self._rows_read()), *(self.shape or (0, 0)))
        if not shape[0]:
            return np.empty(shape, self.dtype)
        return np.memmap(self.folder / VALUES, self.dtype, "r", shape=shape).view(np.ndarray)

    def append(self, digests: Sequence[bytes], values: NDArray[np.floating[Any]]) -> None:
        """Adds images; to be called while :meth:`writing`.

        Args:
            digests: of the images.
            values: ``(images, places, width)``.

        Raises:
            DataError: they have another shape than those that are there, or are not finite, or the disk is full.
        """
        self._check(values)
        self._look()
        try:
            if self.shape is None:
                about = {"made_of": json.loads(self._identity), "shape": list(values.shape[1:])}
                replace_text(self.folder / META, json.dumps(about, indent=1) + "\n")
            there = len(self._rows_read())
            row_bytes = int(np.prod(values.shape[1:])) * self.dtype.itemsize
            _write_at(self.folder / VALUES, there * row_bytes, np.ascontiguousarray(values, self.dtype).tobytes())
            _write_at(self.folder / INDEX, there * DIGEST_BYTES, b"".join(digests))
        except OSError as error:
            raise DataError(Problem("paths.cache_dir", f"'{self.folder}' cannot be written: {error.strerror}", hint=HAS_ROOM)) from error

    def _check(self, values: NDArray[np.floating[Any]]) -> None:
        known = self.shape
        if values.ndim != 3 or (known is not None and values.shape[1:] != known):
            raise DataError(f"features of shape {values.shape[1:]} where {known or '(places, width)'} was expected")
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(self.dtype)).all()
        if not finite:
            hint = "set data.features.dtype=float32" if self.dtype.itemsize == 2 else None
            raise DataError(Problem("data.features", f"features that {self.dtype.name} cannot hold, or no numbers at all", hint=hint))

    def _look(self) -> None:
        """Reads what was added to the index since it was last read."""
        try:
            with (self.folder / INDEX).open("rb") as file:
                file.seek(self._read * DIGEST_BYTES)
                added = file.read()
        except FileNotFoundError:
            return
        for at in range(0, len(added) - DIGEST_BYTES + 1, DIGEST_BYTES):
            self._rows.setdefault(added[at : at + DIGEST_BYTES], self._read)
            self._read += 1

    def _rows_read(self) -> range:
        return range(self._read)


def _write_at(file: Path, place: int, content: bytes) -> None:
    """Puts content into a file from a place on, on the disk; whatever was there from that place on is gone."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "rb+") as stream:
        stream.truncate(place)
        stream.seek(place)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
