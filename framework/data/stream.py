"""From pieces of text to one array of token numbers and their vocabulary, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from framework.data.reading import PIECE, even_pieces
from framework.data.tokenisation import code_points, whole_words, words
from framework.data.vocabulary import UnknownTokens, Vocabulary
from framework.errors import DataError, Problem
from framework.spec.data import TextDataSpec

Tokens = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32]
"""Token numbers in the smallest type that holds them, ``(tokens,)``."""

_UNICODE = 0x110000


def read_tokens(pieces: Iterable[str], spec: TextDataSpec, vocabulary: Vocabulary | None = None) -> tuple[Vocabulary, Tokens]:
    """The vocabulary of the whole text, and its first ``spec.max_tokens`` tokens.

    The vocabulary is that of the whole text, whatever ``max_tokens`` says, so that a short trial has the same model as the
    whole run, and that of all parts, held-out ones included, as in the tutorials.

    Memory: the array of tokens, plus a few MB.

    Args:
        pieces: the text, in pieces of any length.
        spec: ``level``, ``lowercase``, ``unknown``, ``max_vocabulary`` and ``max_tokens`` count here.
        vocabulary: numbers the tokens, in place of one made of this text, such as that of a trained model.

    Returns:
        The vocabulary, and the tokens ``(tokens,)``, read-only, as uint8, uint16 or int32. The same text with its own vocabulary
        gives the same array, given or made.

    Raises:
        UnknownTokens: ``vocabulary`` lacks some of the text's tokens, and has no ``[UNK]``.
        DataError: the text is empty, or ``max_vocabulary`` is given without ``unknown: replace``.
    """
    if spec.max_vocabulary is not None and spec.unknown != "replace":
        hint = "set data.unknown=replace, which reads the left-out tokens as [UNK]"
        raise DataError(Problem("data.max_vocabulary", "leaves tokens out, but data.unknown is 'error'", hint=hint))
    numbering: _Numbering = _Characters() if spec.level == "character" else _Words()
    counts = np.zeros(0, np.int64)
    kept = _Growing()
    for piece in _prepared(pieces, spec):
        ids = numbering.number(piece)
        counts = _add(counts, np.bincount(ids))
        room = ids.size if spec.max_tokens is None else spec.max_tokens - kept.size
        kept.append(ids[:room])
    if not kept.size:
        raise DataError("the text is empty: there is no token to train on")
    tokens = numbering.tokens()
    vocabulary = vocabulary or _vocabulary_of(tokens, counts[1:], spec)
    return vocabulary, kept.finish(_final_numbers(tokens, vocabulary))


def _prepared(pieces: Iterable[str], spec: TextDataSpec) -> Iterator[str]:
    pieces = whole_words(pieces) if spec.level == "word" or spec.lowercase else even_pieces(pieces)
    return (piece.lower() for piece in pieces) if spec.lowercase else iter(pieces)


def _add(total: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    if counts.size > total.size:
        total, counts = counts.astype(np.int64), total
    total[: counts.size] += counts
    return total


def _vocabulary_of(tokens: list[str], counts: NDArray[np.int64], spec: TextDataSpec) -> Vocabulary:
    chosen = tokens
    if spec.max_vocabulary is not None and spec.max_vocabulary < len(tokens):
        order = sorted(range(len(tokens)), key=lambda number: (-int(counts[number]), tokens[number]))
        chosen = [tokens[number] for number in order[: spec.max_vocabulary]]
    return Vocabulary.of(chosen, spec.level, spec.lowercase, spec.unknown == "replace")


def _final_numbers(tokens: list[str], vocabulary: Vocabulary) -> NDArray[np.int32]:
    """The final number by provisional number.

    Raises:
        UnknownTokens: there is none.
    """
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    if not vocabulary.unknown and (unknown := [token for token in tokens if token not in numbers]):
        raise UnknownTokens(unknown, vocabulary)
    final = np.zeros(len(tokens) + 1, np.int32)
    final[1:] = [numbers.get(token, 0) for token in tokens]
    return final


class _Numbering(Protocol):
    """Provisional numbers of tokens, counted from 1 in the order in which they turn up.

    0 is kept free, so that the final numbers, with or without ``[UNK]``, fit the same integer type.
    """

    def number(self, piece: str) -> NDArray[np.int32]:
        """Number the tokens of a piece, ``(tokens,) int32``."""
        ...

    def tokens(self) -> list[str]:
        """The tokens by number, from number 1 on."""
        ...


class _Characters:
    def __init__(self) -> None:
        self._table = np.zeros(_UNICODE, np.int32)
        self._points: list[int] = []

    def number(self, piece: str) -> NDArray[np.int32]:
        points = code_points(piece)
        ids: NDArray[np.int32] = self._table[points]
        if not ids.all():
            new = np.unique(points[ids == 0])
            self._table[new] = np.arange(len(self._points) + 1, len(self._points) + 1 + new.size)
            self._points += new.tolist()
            ids = self._table[points]
        return ids

    def tokens(self) -> list[str]:
        return [chr(point) for point in self._points]


class _Words(dict[str, int]):
    def __missing__(self, word: str) -> int:
        self[word] = number = len(self) + 1
        return number

    def number(self, piece: str) -> NDArray[np.int32]:
        found = words(piece)
        return np.fromiter(map(self.__getitem__, found), np.int32, len(found))

    def tokens(self) -> list[str]:
        return list(self)


class _Growing:
    """An array that grows in place, so that the tokens are never held twice."""

    def __init__(self) -> None:
        self._array: Tokens = np.empty(0, np.uint8)
        self._largest = 0
        self.size = 0

    def append(self, ids: NDArray[np.int32]) -> None:
        if not ids.size:
            return
        self._largest = max(self._largest, int(ids.max()))
        self._make_room_for(self._largest)
        end = self.size + ids.size
        if end > self._array.size:
            self._array.resize(end + end // 8 + PIECE, refcheck=False)
        self._array[self.size : end] = ids
        self.size = end

    def finish(self, final: NDArray[np.int32]) -> Tokens:
        """The array with every number ``n`` replaced by ``final[n]``, cut to its size and closed."""
        self._array.resize(self.size, refcheck=False)
        self._make_room_for(int(final[: self._largest + 1].max()))  # the first few tokens may have large numbers
        for start in range(0, self.size, PIECE):
            self._array[start : start + PIECE] = final[self._array[start : start + PIECE]]
        self._array.flags.writeable = False
        return self._array

    def _make_room_for(self, number: int) -> None:
        needed = _smallest(number)
        if np.dtype(needed).itemsize > self._array.dtype.itemsize:
            self._array = cast(Tokens, self._array.astype(needed))


def _smallest(largest: int) -> type[np.uint8] | type[np.uint16] | type[np.int32]:
    if largest <= np.iinfo(np.uint8).max:
        return np.uint8
    return np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
