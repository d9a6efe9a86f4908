"""Tokens that are words: numbered by frequency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from framework.data.sentences.tokens import MARKERS, UNKNOWN, UnknownWords
from framework.errors import DataError
from framework.spec.data import UNKNOWN_TOKEN
from framework.spec.sentences import VocabularySpec


@dataclass(frozen=True)
class WordVocabulary:
    """Words by number: after the special tokens the most frequent one first.

    Attributes:
        words: by frequency; of equally frequent ones the first to be met comes first.
        unknown: whether other words become ``[UNK]``; else they are an error.

    Raises:
        DataError: a word is there twice, or is none.

    Source: Keras' ``Tokenizer``, but for the markers, which always come first.
    """

    words: tuple[str, ...]
    unknown: bool

    def __post_init__(self) -> None:
        """Check what a file gave."""
        if len(self._ids) < len(self.words):
            raise DataError("a word is in the vocabulary twice")

    @classmethod
    def of(cls, counts: Mapping[str, int], spec: VocabularySpec) -> WordVocabulary:
        """The vocabulary of words with their numbers of occurrences, in the order in which they were met."""
        unknown = spec.unknown == "replace"
        words = sorted((word for word, count in counts.items() if count >= spec.min_count), key=lambda word: -counts[word])
        most = None if spec.max_size is None else spec.max_size - len(MARKERS) - unknown
        return cls(tuple(words[:most]), unknown)

    @property
    def size(self) -> int:
        """Number of tokens, the special ones counted."""
        return self._first + len(self.words)

    @property
    def unknown_id(self) -> int | None:
        """Number of ``[UNK]``, 3; None where an unknown word is an error."""
        return UNKNOWN if self.unknown else None

    def number(self, sentences: Sequence[str]) -> list[list[int]]:
        """Each sentence's words.

        Raises:
            UnknownWords: a word has no number, and there is no ``[UNK]``.
        """
        known = self._ids
        if self.unknown:
            return [[known.get(word, UNKNOWN) for word in sentence.split()] for sentence in sentences]
        try:
            return [[known[word] for word in sentence.split()] for sentence in sentences]
        except KeyError:
            words = dict.fromkeys(word for sentence in sentences for word in sentence.split() if word not in known)
            raise UnknownWords(list(words)) from None

    def pieces(self, sentence: str) -> list[str]:
        """The words."""
        return sentence.split()

    def name(self, number: int) -> str:
        """A word, or a special token's name."""
        if number >= self._first:
            return self.words[number - self._first]
        return UNKNOWN_TOKEN if number == UNKNOWN else MARKERS[number]

    def text_of(self, number: int) -> str:
        """What one token adds to the words before it."""
        return f" {self.name(number)}"

    def text(self, numbers: Sequence[int]) -> str:
        """The words with a space between them."""
        return " ".join(map(self.name, numbers))

    def as_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads."""
        return {"kind": "word", "unknown": self.unknown, "words": list(self.words)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WordVocabulary:
        """The vocabulary that :meth:`as_json` wrote.

        Raises:
            DataError: it is no such thing.
        """
        words, unknown = content.get("words"), content.get("unknown")
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words) or not isinstance(unknown, bool):
            raise DataError("its words are no list of texts with 'unknown' true or false")
        return cls(tuple(words), unknown)

    @property
    def _first(self) -> int:
        return len(MARKERS) + self.unknown

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=self._first)}


def count_words(sentences: Iterable[str]) -> dict[str, int]:
    """How often each word is there, in the order in which they are met."""
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence.split():
            counts[word] = counts.get(word, 0) + 1
    return counts
