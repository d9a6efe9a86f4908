"""Sentences of one language: cleaned and numbered, and made of numbers again; how they are saved with a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from framework.data.sentences.cleaning import Cleaning
from framework.data.sentences.subwords import SubwordVocabulary
from framework.data.sentences.tokens import END, PAD, START
from framework.data.sentences.words import WordVocabulary
from framework.errors import DataError
from framework.files import read_plain, replacing
from framework.spec import cleaning as cleaning_spec

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
        numbers = self.vocabulary.number([self.cleaning(whole_text(sentence)) for sentence in sentences])
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

    def clean(self, sentence: str) -> str:
        """A raw sentence as it is before it is numbered."""
        return self.cleaning(whole_text(sentence))

    def as_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads."""
        return {"cleaning": self.cleaning.listed, "vocabulary": self.vocabulary.as_json()}

    def save_model(self, folder: Path, name: str) -> None:
        """Writes the model of subwords, ``subwords-NAME.model``, where there is one.

        Raises:
            OSError: it cannot be written.
        """
        if isinstance(self.vocabulary, SubwordVocabulary):
            with replacing(folder / _model_file(name)) as part:
                part.write_bytes(self.vocabulary.model)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], name: str, folder: Path) -> Side:
        """The side that :meth:`as_json` wrote under a name, with what :meth:`save_model` wrote into the folder.

        Raises:
            DataError: it is no such thing.
        """
        side = content.get(name)
        if not isinstance(side, dict) or not isinstance(vocabulary := side.get("vocabulary"), dict):
            raise DataError(f"their '{name}' is no mapping with a vocabulary")
        try:
            steps = TypeAdapter(cleaning_spec.Cleaning).validate_python(side.get("cleaning"))
        except ValidationError as error:
            raise DataError(f"the cleaning of '{name}': {error.errors(include_url=False)[0]['msg']}") from error
        return cls(Cleaning.of(steps), _vocabulary(vocabulary, folder / _model_file(name)))


def check_version(content: Any, version: int) -> None:
    """Of what a processor's file holds.

    Raises:
        DataError: it has no version, or a newer one.
    """
    found = content.get("processor_version") if isinstance(content, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise DataError("they are not Gatework's")
    if found > version:
        raise DataError(f"their version {found} is newer than this Gatework's, {version}: update Gatework")


def whole_text(sentence: str) -> str:
    """The command line gives half characters for bytes that are no UTF-8; no vocabulary has such."""
    return sentence.encode("utf-8", "replace").decode("utf-8")


def _model_file(side: str) -> str:
    return f"subwords-{side}.model"


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
