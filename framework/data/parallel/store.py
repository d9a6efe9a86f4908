"""Prepared pairs on the disk: tokens, raw texts and parts, mapped into memory as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from framework.data.parallel.processor import PairsProcessor
from framework.data.reading import PIECE
from framework.data.sentences.split import PARTS, Keys
from framework.errors import DataError
from framework.files import read_json

SIDES = ("source", "target")

META = "pairs.json"
"""Name of the file that says what lies beside it; written last."""

STORE_VERSION = 1
"""To be raised with any change to the files' form or meaning."""

Tokens = np.ndarray[Any, np.dtype[np.uint16 | np.int32]]


@dataclass(frozen=True, eq=False)
class PairStore:
    """Pairs by number, those of all parts; nothing is held but what is asked for.

    Attributes:
        folder: where the files lie.
        about: what was counted when they were written: ``pairs``, ``drawn`` (those that parts were drawn from, which come
            first), ``longest`` by side, ``tokens``, ``content`` (SHA-256 of all), ``source``, ``dtype`` by side.
        processor: that numbered the tokens.
    """

    folder: Path
    about: Mapping[str, Any]
    processor: PairsProcessor

    @classmethod
    def open(cls, folder: Path) -> PairStore | None:
        """The store in a folder; None where there is none, or not a whole one."""
        try:
            about = read_json(folder / META)
            whole = about["version"] == STORE_VERSION
            whole = whole and all((folder / name).stat().st_size == size for name, size in about["files"].items())
            return cls(folder, about, PairsProcessor.load(folder)) if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
            return None

    def tokens(self, side: str) -> Tokens:
        """All tokens of a side without markers, one sentence after the other."""
        return self._tokens[side]

    def starts(self, side: str) -> NDArray[np.int64]:
        """``(pairs + 1,)``: where each sentence of a side begins."""
        return self._starts[side]

    def keys(self, side: Literal["source", "target"]) -> Keys:
        """``(pairs,)``: a hash of each cleaned sentence of a side."""
        keys: Keys = _mapped(self.folder / f"{side}.keys", np.dtype("<u8"))
        return keys

    def rows(self, part: str) -> NDArray[np.uint32]:
        """Numbers of the pairs of a part, in order."""
        rows: NDArray[np.uint32] = _mapped(self.folder / f"{part}.rows", np.dtype("<u4"))
        return rows

    def lengths(self, rows: NDArray[np.uint32], side: str) -> NDArray[np.uint32]:
        """Tokens of each pair's sentence, without markers."""
        starts, numbers = self.starts(side), rows.astype(np.int64)
        return (starts[numbers + 1] - starts[numbers]).astype(np.uint32)

    def texts(self, row: int) -> tuple[str, str]:
        """The raw sentences of a pair."""
        begin, middle, end = self._text_starts[2 * row : 2 * row + 3].tolist()
        raw = self._texts[begin:end].tobytes()
        return raw[: middle - begin].decode("utf-8"), raw[middle - begin :].decode("utf-8")

    @cached_property
    def _tokens(self) -> dict[str, Tokens]:
        return {side: _mapped(self.folder / f"{side}.tokens", np.dtype(self.about["dtype"][side])) for side in SIDES}

    @cached_property
    def _starts(self) -> dict[str, NDArray[np.int64]]:
        return {side: _mapped(self.folder / f"{side}.starts", np.dtype("<i8")) for side in SIDES}

    @cached_property
    def _text_starts(self) -> NDArray[np.int64]:
        starts: NDArray[np.int64] = _mapped(self.folder / "texts.starts", np.dtype("<i8"))
        return starts

    @cached_property
    def _texts(self) -> NDArray[np.uint8]:
        texts: NDArray[np.uint8] = _mapped(self.folder / "texts", np.dtype(np.uint8))
        return texts


def content_files() -> list[str]:
    """Names of the files that hold a store's content."""
    sides = [f"{side}.{what}" for side in SIDES for what in ("tokens", "starts", "keys")]
    return [*sides, "texts", "texts.starts", *(f"{part}.rows" for part in PARTS)]


def content_digest(folder: Path) -> str:
    """SHA-256 of a store's content."""
    digest = hashlib.sha256()
    for name in content_files():
        digest.update(f"{name} {(folder / name).stat().st_size}\n".encode())
        with (folder / name).open("rb") as file:
            while block := file.read(PIECE):
                digest.update(block)
    return digest.hexdigest()


def _mapped(file: Path, dtype: np.dtype[Any]) -> Any:
    if not file.stat().st_size:  # nothing can be mapped of nothing
        return np.empty(0, dtype)
    return np.memmap(file, dtype, "r").view(np.ndarray)
