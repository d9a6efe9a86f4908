"""From sentences to what a translating model reads, and from what it writes back to a sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.sentences.side import Side, check_version
from framework.data.sentences.tokens import PAD
from framework.data.sentences.written import WritesSentences
from framework.errors import DataError
from framework.files import read_json, replace_text

PROCESSOR_FILE = "sentences.json"
"""Name of a processor's file in a run's or a model's folder; models of subwords lie beside it."""

PROCESSOR_VERSION = 1
"""Version of that file's form."""


@dataclass(frozen=True)
class PairsProcessor(WritesSentences):
    """Sentences of two languages.

    Attributes:
        source: what is read.
        target: what is written.
        source_places: of every source, at least: the length that a model was trained on which reads the padding too; None for models
            trained on batches that are as long as their longest sentence.
    """

    source: Side
    target: Side
    source_places: int | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """``source`` and ``target``."""
        return {"source": self.source.vocabulary.size, "target": self.target.vocabulary.size}

    def encode_source(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences to read, ``(rows, longest) int32``, with ``source_places`` at least; see :meth:`Side.encode`."""
        rows = self.source.encode(texts)
        missing = (self.source_places or 0) - rows.shape[1]
        return np.pad(rows, ((0, 0), (0, missing)), constant_values=PAD) if missing > 0 else rows

    def source_tokens(self, text: str) -> list[str]:
        """The tokens of a raw sentence as people read them, one for each that :meth:`encode_source` gives but the markers."""
        return self.source.vocabulary.pieces(self.source.clean(text))

    @property
    def digest(self) -> str:
        """SHA-256 of all that it holds; equal processors have equal ones."""
        return hashlib.sha256(json.dumps(self._as_json(), sort_keys=True).encode("ascii")).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes ``sentences.json`` and, for subwords, ``subwords-source.model`` and ``subwords-target.model``.

        Raises:
            DataError: they cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.source.save_model(folder, "source")
            self.target.save_model(folder, "target")
            replace_text(folder / PROCESSOR_FILE, json.dumps(self._as_json(), indent=1) + "\n")
        except OSError as error:
            raise DataError(f"vocabularies cannot be written to '{folder}': {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path) -> PairsProcessor:
        """Reads it.

        Raises:
            DataError: a file cannot be read, is no such thing, or was written by a newer version.
        """
        file = folder / PROCESSOR_FILE
        try:
            content = read_json(file)
        except OSError as error:
            raise DataError(f"vocabularies '{file}' cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise DataError(f"vocabularies '{file}' are no JSON: {error}") from error
        try:
            check_version(content, PROCESSOR_VERSION)
            return cls(Side.from_json(content, "source", folder), Side.from_json(content, "target", folder), _places(content))
        except DataError as error:
            raise DataError(f"vocabularies '{file}' cannot be used: {error}") from error

    def _as_json(self) -> dict[str, Any]:
        written = {"source": self.source.as_json(), "target": self.target.as_json()}
        places = {} if self.source_places is None else {"source_places": self.source_places}
        return {"processor_version": PROCESSOR_VERSION, **written, **places}


def _places(content: Mapping[str, Any]) -> int | None:
    places = content.get("source_places")
    if places is not None and (not isinstance(places, int) or isinstance(places, bool) or places < 1):
        raise DataError(f"their source_places is {places!r}; expected a whole number from 1 on")
    return places
