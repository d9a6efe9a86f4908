"""Tokens and their numbers: encode, decode, save, load."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framework.data.reading import PIECE
from framework.data.saved import read_saved
from framework.data.tokenisation import Level, code_points, words
from framework.errors import DataError, Problem
from framework.files import replace_text
from framework.spec.data import UNKNOWN_TOKEN

VOCABULARY_FILE = "vocabulary.json"
"""Name of a vocabulary's file in a run's or a model's folder."""

VOCABULARY_VERSION = 1
"""Version of that file's form."""

_NAMED = 10
"""Unknown tokens that an error names."""


class UnknownTokens(DataError):
    """A text has tokens that a vocabulary lacks.

    Args:
        tokens: those tokens.
        vocabulary: the vocabulary.
        places: where the first of them stand, such as ``my.txt, line 3``; as far as known.

    Attributes:
        tokens: those tokens.
        vocabulary: the vocabulary.
    """

    def __init__(self, tokens: Sequence[str], vocabulary: Vocabulary, places: Sequence[str] = ()) -> None:
        self.tokens, self.vocabulary = tuple(tokens), vocabulary
        found = [f"{token!r}{f' ({place})' if place else ''}" for token, place in zip_longest(tokens[:_NAMED], places[:_NAMED])]
        more = f" and {len(tokens) - _NAMED:,} more" if len(tokens) > _NAMED else ""
        what = vocabulary.level + ("s" if len(tokens) > 1 else "")
        problem = Problem(
            path="",
            message=f"the text has {len(tokens):,} {what} that the vocabulary lacks: {', '.join(found)}{more}",
            hint=f"leave them out, or train with data.unknown=replace, which reads them as {UNKNOWN_TOKEN}",
        )
        super().__init__(str(problem))


@dataclass(frozen=True)
class Vocabulary:
    r"""The tokens of a text, numbered from 0 in sorted order (by code point).

    Attributes:
        tokens: token by number. With ``unknown``, number 0 is ``[UNK]`` and the others follow, sorted.
        level: what a token is.
        lowercase: whether text is lowered before it is encoded.
        unknown: whether tokens that are not in the vocabulary become ``[UNK]``; else they are an error.

    Raises:
        DataError: a token is there twice, or the tokens do not fit the level.

    Source: TensorFlow tutorial "Text generation with an RNN": the sorted set of characters (``\n`` is 0 in Shakespeare); its
    later version puts ``[UNK]`` before them.
    """

    tokens: tuple[str, ...]
    level: Level = "character"
    lowercase: bool = False
    unknown: bool = False

    def __post_init__(self) -> None:
        """Check what a file or a caller gave."""
        if not self.tokens:
            raise DataError("a vocabulary without tokens")
        if len(set(self.tokens)) != len(self.tokens):
            twice = next(token for i, token in enumerate(self.tokens) if token in self.tokens[:i])
            raise DataError(f"token {twice!r} is in the vocabulary twice")
        if self.unknown and self.tokens[0] != UNKNOWN_TOKEN:
            raise DataError(f"token 0 is {self.tokens[0]!r}; expected {UNKNOWN_TOKEN}")
        if self.level == "character":
            long = next((token for token in self.tokens[int(self.unknown) :] if len(token) != 1), None)
            if long is not None:
                raise DataError(f"token {long!r} is not one character")

    @classmethod
    def of(cls, tokens: Iterable[str], level: Level = "character", lowercase: bool = False, unknown: bool = False) -> Vocabulary:
        """The vocabulary of these tokens, given in any order and any number of times, ``[UNK]`` not among them."""
        return cls(((UNKNOWN_TOKEN,) if unknown else ()) + tuple(sorted(set(tokens))), level, lowercase, unknown)

    @property
    def size(self) -> int:
        """Number of tokens, ``[UNK]`` counted."""
        return len(self.tokens)

    @property
    def unknown_id(self) -> int | None:
        """Number of ``[UNK]``; None where an unknown token is an error."""
        return 0 if self.unknown else None

    def encode(self, text: str) -> NDArray[np.int32]:
        r"""The text's tokens by number, ``(tokens,) int32``.

        Line ends become ``\n``, as those of the text that the vocabulary is from, unless it has ``\r``.

        Raises:
            DataError: tokens that the vocabulary does not have, and ``unknown`` is not set; names up to ten of them.
        """
        if "\r" in text and not self._has_carriage_returns:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self.lowercase:
            text = text.lower()
        ids = self._encode_characters(text) if self.level == "character" else self._encode_words(text)
        if not self.unknown and ids.size and ids.min() < 0:
            tokens: Iterable[str] = text if self.level == "character" else words(text)
            raise UnknownTokens(list(dict.fromkeys(token for token in tokens if token not in self._ids)), self)
        return ids

    @cached_property
    def _has_carriage_returns(self) -> bool:
        return any("\r" in token for token in self.tokens)

    def decode(self, ids: ArrayLike) -> str:
        """The text of token numbers of any integer type, ``(tokens,)``; a single number is one token.

        Raises:
            DataError: a number that no token has.
        """
        numbers = np.atleast_1d(np.asarray(ids))
        if numbers.size == 0:
            return ""
        if not np.issubdtype(numbers.dtype, np.integer):
            raise DataError(f"token numbers are of type {numbers.dtype}; expected whole numbers")
        if numbers.ndim != 1:
            raise DataError(f"token numbers have the shape {numbers.shape}; expected one text's, (tokens,)")
        if numbers.min() < 0 or numbers.max() >= self.size:
            wrong = next(int(number) for number in numbers if not 0 <= number < self.size)
            raise DataError(f"no token has the number {wrong}; expected 0 to {self.size - 1}")
        return "".join([self.tokens[number] for number in numbers.tolist()])

    def save(self, file: Path) -> None:
        """Write the vocabulary as JSON (ASCII); a file of that name is replaced at once, never half.

        Raises:
            DataError: it cannot be written.
        """
        content = {
            "vocabulary_version": VOCABULARY_VERSION,
            "level": self.level,
            "lowercase": self.lowercase,
            "unknown": "replace" if self.unknown else "error",
            "tokens": list(self.tokens),
        }
        try:
            replace_text(file, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise DataError(f"vocabulary '{file}' cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, file: Path) -> Vocabulary:
        """Read what ``save`` wrote.

        Raises:
            DataError: the file cannot be read, is no vocabulary, or was written by a newer version.
        """
        return read_saved(file, "vocabulary", lambda content: cls(**_fields(content)))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        """Number by code point, up to one past the largest code point, which stands for all that are larger."""
        first = int(self.unknown)
        points = code_points("".join(self.tokens[first:]))
        table = np.full(int(points.max(initial=0)) + 2, 0 if self.unknown else -1, np.int32)
        table[points] = np.arange(first, self.size, dtype=np.int32)
        return table

    def _encode_characters(self, text: str) -> NDArray[np.int32]:
        ids = np.empty(len(text), np.int32)
        for start in range(0, len(text), PIECE):
            points = code_points(text[start : start + PIECE])
            ids[start : start + PIECE] = self._table[np.minimum(points, self._table.size - 1)]
        return ids

    def _encode_words(self, text: str) -> NDArray[np.int32]:
        missing = 0 if self.unknown else -1
        known = self._ids
        return np.fromiter((known.get(word, missing) for word in words(text)), np.int32)


def _fields(content: Any) -> dict[str, Any]:
    """The constructor's arguments out of a file's content."""
    version = content.get("vocabulary_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError("it is no vocabulary of Gatework")
    if version > VOCABULARY_VERSION:
        raise DataError(f"its version {version} is newer than this Gatework's, {VOCABULARY_VERSION}: update Gatework")
    tokens = content.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise DataError("its 'tokens' is no list of texts")
    for key, allowed in (("level", ("character", "word")), ("lowercase", (False, True)), ("unknown", ("error", "replace"))):
        if content.get(key) not in allowed:
            raise DataError(f"its '{key}' is {content.get(key)!r}; expected one of {', '.join(map(repr, allowed))}")
    return {
        "tokens": tuple(tokens),
        "level": content["level"],
        "lowercase": bool(content["lowercase"]),
        "unknown": content["unknown"] == "replace",
    }
