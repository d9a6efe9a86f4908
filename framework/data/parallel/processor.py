"""From sentences to what a translating model reads, and from what it writes back to a sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from framework.data.parallel.cleaning import Cleaning
from framework.data.parallel.subwords import SubwordVocabulary
from framework.data.parallel.tokens import END, PAD, START
from framework.data.parallel.words import WordVocabulary
from framework.errors import DataError
from framework.files import read_json, read_plain, replace_text, replacing
from framework.spec import cleaning as cleaning_spec

PROCESSOR_FILE = "sentences.json"
"""Name of a processor's file in a run's or a model's folder; models of subwords lie beside it."""

PROCESSOR_VERSION = 1
"""Version of that file's form."""

SentenceVocabulary = WordVocabulary | SubwordVocabulary


@dataclass(frozen=True)
class Side:
    """Sentences of one language.

    Attributes:
        cleaning: done first.
        vocabulary: numbers what is left.
    """

    cleaning: Cleaning
    vocabulary: SentenceVocabulary

    def encode(self, sentences: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences as ``(rows, longest) int32``, each between its markers, 0 behind the end of shorter ones.

        Raises:
            UnknownWords: a word has no number, and there is no ``[UNK]``.
        """
        numbers = self.vocabulary.number([self.cleaning(_text(sentence)) for sentence in sentences])
        rows = np.full((len(numbers), 2 + max(map(len, numbers), default=0)), PAD, np.int32)
        for row, one in zip(rows, numbers, strict=True):
            row[: len(one) + 2] = [START, *one, END]
        return rows

    def decode(self, numbers: Iterable[int]) -> str:
        """The sentence up to the first end marker, without special tokens.

        Raises:
            DataError: a number that no token has.
        """
        kept = []
        for number in map(int, numbers):
            if not 0 <= number < self.vocabulary.size:
                raise DataError(f"no token has the number {number}; expected 0 to {self.vocabulary.size - 1}")
            if number == END:
                break
            if number not in (PAD, START):
                kept.append(number)
        return self.vocabulary.text(kept)


@dataclass(frozen=True)
class PairsProcessor:
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

    @property
    def start_id(self) -> int:
        """Number that a translation begins with."""
        return START

    @property
    def end_id(self) -> int:
        """Number that ends a translation."""
        return END

    @property
    def unknown_id(self) -> int | None:
        """Number of ``[UNK]`` in translations; None where there is none."""
        return self.target.vocabulary.unknown_id

    @property
    def banned(self) -> tuple[int, ...]:
        """Padding, the start marker and ``[UNK]``, which no translation has."""
        unknown = self.unknown_id
        return (PAD, START) if unknown is None else (PAD, START, unknown)

    def encode_source(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences to read, ``(rows, longest) int32``, with ``source_places`` at least; see :meth:`Side.encode`."""
        rows = self.source.encode(texts)
        missing = (self.source_places or 0) - rows.shape[1]
        return np.pad(rows, ((0, 0), (0, missing)), constant_values=PAD) if missing > 0 else rows

    def encode_target(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw translations, ``(rows, longest) int32``; see :meth:`Side.encode`."""
        return self.target.encode(texts)

    def decode_target(self, ids: Iterable[int]) -> str:
        """The translation that token numbers write; see :meth:`Side.decode`."""
        return self.target.decode(ids)

    def clean_target(self, text: str) -> str:
        """A raw translation as it is before it is numbered."""
        return self.target.cleaning(_text(text))

    def source_tokens(self, text: str) -> list[str]:
        """The tokens of a raw sentence as people read them, one for each that :meth:`encode_source` gives but the markers."""
        return self.source.vocabulary.pieces(self.source.cleaning(_text(text)))

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        """Each token as people read it."""
        return [self.target.vocabulary.name(int(number)) for number in ids]

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
            for name, side in (("source", self.source), ("target", self.target)):
                if isinstance(side.vocabulary, SubwordVocabulary):
                    with replacing(folder / _model_file(name)) as part:
                        part.write_bytes(side.vocabulary.model)
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
            _check_version(content)
            return cls(_side(content, "source", folder), _side(content, "target", folder), _places(content))
        except DataError as error:
            raise DataError(f"vocabularies '{file}' cannot be used: {error}") from error

    def _as_json(self) -> dict[str, Any]:
        sides = {"source": self.source, "target": self.target}
        written = {name: {"cleaning": side.cleaning.listed, "vocabulary": side.vocabulary.as_json()} for name, side in sides.items()}
        places = {} if self.source_places is None else {"source_places": self.source_places}
        return {"processor_version": PROCESSOR_VERSION, **written, **places}


def _text(sentence: str) -> str:
    """The command line gives half characters for bytes that are no UTF-8; no vocabulary has such."""
    return sentence.encode("utf-8", "replace").decode("utf-8")


def _model_file(side: str) -> str:
    return f"subwords-{side}.model"


def _check_version(content: Any) -> None:
    version = content.get("processor_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError("they are not Gatework's")
    if version > PROCESSOR_VERSION:
        raise DataError(f"their version {version} is newer than this Gatework's, {PROCESSOR_VERSION}: update Gatework")


def _side(content: Mapping[str, Any], name: str, folder: Path) -> Side:
    side = content.get(name)
    if not isinstance(side, dict) or not isinstance(vocabulary := side.get("vocabulary"), dict):
        raise DataError(f"their '{name}' is no mapping with a vocabulary")
    try:
        steps = TypeAdapter(cleaning_spec.Cleaning).validate_python(side.get("cleaning"))
    except ValidationError as error:
        raise DataError(f"the cleaning of '{name}': {error.errors(include_url=False)[0]['msg']}") from error
    return Side(Cleaning.of(steps), _vocabulary(vocabulary, folder / _model_file(name)))


def _places(content: Mapping[str, Any]) -> int | None:
    places = content.get("source_places")
    if places is not None and (not isinstance(places, int) or isinstance(places, bool) or places < 1):
        raise DataError(f"their source_places is {places!r}; expected a whole number from 1 on")
    return places


def _vocabulary(content: Mapping[str, Any], file: Path) -> SentenceVocabulary:
    if content.get("kind") == "word":
        return WordVocabulary.from_json(content)
    if content.get("kind") != "subword":
        raise DataError(f"a vocabulary of kind {content.get('kind')!r}; expected word or subword")
    try:
        found = SubwordVocabulary(read_plain(file))
    except OSError as error:
        raise DataError(f"'{file}' cannot be read: {error.strerror or error}") from error
    if found.as_json() != content:
        raise DataError(f"'{file}' is another model than that which was saved")
    return found
