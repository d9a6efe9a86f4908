"""From pieces of text to one array or file of token numbers and their vocabulary, in one pass."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.data.reading import PIECE, even_pieces
from framework.data.tokenisation import code_points, whole_words, words
from framework.data.vocabulary import UnknownTokens, Vocabulary
from framework.errors import DataError, Problem
from framework.spec.data import TextDataSpec

Tokens = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
"""Token numbers in the smallest type that holds them, ``(tokens,)``."""

_TYPES: tuple[np.dtype[Any], ...] = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<u4"))

_UNICODE = 0x110000


def read_tokens(pieces: Iterable[str], spec: TextDataSpec, vocabulary: Vocabulary | None = None) -> tuple[Vocabulary, Tokens]:
    """The vocabulary of the whole text, and its first ``spec.max_tokens`` tokens.

    Memory: the array of tokens, plus a few MB.

    Args:
        pieces: see :func:`write_tokens`.
        spec: likewise.
        vocabulary: likewise.

    Returns:
        The vocabulary, and the tokens ``(tokens,)``, read-only.

    Raises:
        UnknownTokens: see :func:`write_tokens`.
        DataError: likewise.
    """
    file = io.BytesIO()
    vocabulary, dtype = write_tokens(pieces, spec, vocabulary, file)
    return vocabulary, np.frombuffer(file.getvalue(), dtype)


def write_tokens(
    pieces: Iterable[str], spec: TextDataSpec, vocabulary: Vocabulary | None, file: IO[bytes]
) -> tuple[Vocabulary, np.dtype[Any]]:
    """Numbers the first ``spec.max_tokens`` tokens of a text, by the vocabulary of the whole text.

    The vocabulary is that of the whole text, whatever ``max_tokens`` says, so that a short trial has the same model as the
    whole run, and that of all parts, held-out ones included, as in the tutorials.

    Memory: a few MB, and the different tokens.

    Args:
        pieces: the text, in pieces of any length.
        spec: ``level``, ``lowercase``, ``unknown``, ``max_vocabulary`` and ``max_tokens`` count here.
        vocabulary: numbers the tokens, in place of one made of this text, such as that of a trained model.
        file: empty, to be written to and read; it holds nothing but the tokens in the end, one after the other.

    Returns:
        The vocabulary, and the tokens' type: uint8, uint16 or uint32 with the lowest byte first. The same text with its own vocabulary
        gives the same tokens, given or made.

    Raises:
        UnknownTokens: ``vocabulary`` lacks some of the text's tokens, and has no ``[UNK]``.
        DataError: the text is empty, or ``max_vocabulary`` is given without ``unknown: replace``.
    """
    if spec.max_vocabulary is not None and spec.unknown != "replace":
        hint = "set data.unknown=replace, which reads the left-out tokens as [UNK]"
        raise DataError(Problem("data.max_vocabulary", "leaves tokens out, but data.unknown is 'error'", hint=hint))
    numbering: _Numbering = _Characters() if spec.level == "character" else _Words()
    counts = np.zeros(0, np.int64)
    kept = _Growing(file)
    for piece in _prepared(pieces, spec):
        ids = numbering.number(piece)
        if spec.max_vocabulary is not None:
            counts = _add(counts, np.bincount(ids))
        room = ids.size if spec.max_tokens is None else spec.max_tokens - kept.size
        kept.append(ids[:room])
    if not kept.size:
        raise DataError("the text is empty: there is no token to train on")
    tokens = numbering.tokens()
    vocabulary = vocabulary or _vocabulary_of(tokens, counts[1:], spec)
    kept.finish(_final_numbers(tokens, vocabulary))
    return vocabulary, kept.dtype


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
    """Numbers in a file that grows, in the smallest type that holds all of them, so that they are never held twice.

    Args:
        file: empty, to be written to and read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._largest = 0
        self.dtype = _TYPES[0]
        self.size = 0

    def append(self, ids: NDArray[np.int32]) -> None:
        if not ids.size:
            return
        self._largest = max(self._largest, int(ids.max()))
        self._make_room_for(self._largest)
        self._file.write(ids.astype(self.dtype).data)
        self.size += ids.size

    def finish(self, final: NDArray[np.int32]) -> None:
        """Replaces every number ``n`` by ``final[n]``, in the file itself."""
        self._make_room_for(int(final[: self._largest + 1].max()))  # the first few tokens may have large numbers
        for start in range(0, self.size, PIECE):
            self._write(start, final[self._read(start)].astype(self.dtype))
        self._file.flush()

    def _make_room_for(self, number: int) -> None:
        narrow, self.dtype = self.dtype, max(self.dtype, _smallest(number), key=lambda dtype: dtype.itemsize)
        if self.dtype == narrow:
            return
        # The last block first: none is written over before it is read.
        for start in reversed(range(0, self.size, PIECE)):
            self._write(start, self._read(start, narrow).astype(self.dtype))
        self._file.seek(0, os.SEEK_END)

    def _read(self, start: int, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
        dtype = dtype or self.dtype
        self._file.seek(start * dtype.itemsize)
        return np.frombuffer(self._file.read(min(PIECE, self.size - start) * dtype.itemsize), dtype)

    def _write(self, start: int, numbers: NDArray[Any]) -> None:
        self._file.seek(start * self.dtype.itemsize)
        self._file.write(numbers.data)


def _smallest(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in _TYPES if largest <= np.iinfo(dtype).max)
