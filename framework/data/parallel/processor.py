"""From sentences to what a translating model reads, and from what it writes back to a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from framework.data.sentences.saved import SavedSides
from framework.data.sentences.side import Side
from framework.data.sentences.tokens import PAD
from framework.data.sentences.written import WritesSentences
from framework.errors import DataError

PROCESSOR_FILE = "sentences.json"
"""Name of a processor's file in a run's or a model's folder; models of subwords lie beside it."""

PROCESSOR_VERSION = 1
"""Version of that file's form."""


@dataclass(frozen=True)
class PairsProcessor(WritesSentences, SavedSides):
    """Sentences of two languages.

    Attributes:
        source: what is read.
        target: what is written.
        source_places: of every source, at least: the length that a model was trained on which reads the padding too; None for models
            trained on batches that are as long as their longest sentence.
    """

    file: ClassVar[str] = PROCESSOR_FILE
    version: ClassVar[int] = PROCESSOR_VERSION
    holds: ClassVar[Literal["vocabulary", "vocabularies"]] = "vocabularies"

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

    def sides(self) -> Mapping[str, Side]:
        """``source`` and ``target``."""
        return {"source": self.source, "target": self.target}

    def further(self) -> Mapping[str, Any]:
        """``source_places``, where there are any."""
        return {} if self.source_places is None else {"source_places": self.source_places}

    @classmethod
    def of_json(cls, content: Mapping[str, Any], folder: Path) -> PairsProcessor:
        """From what the file holds; see :meth:`SavedSides.of_json`."""
        return cls(Side.from_json(content, "source", folder), Side.from_json(content, "target", folder), _places(content))


def _places(content: Mapping[str, Any]) -> int | None:
    places = content.get("source_places")
    if places is not None and (not isinstance(places, int) or isinstance(places, bool) or places < 1):
        raise DataError(f"their source_places is {places!r}; expected a whole number from 1 on")
    return places
