"""What every vocabulary of sentences has: special tokens, and one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from framework.errors import DataError, Problem
from framework.spec.data import UNKNOWN_TOKEN

PAD, START, END, UNKNOWN = 0, 1, 2, 3
"""Numbers of the special tokens; the last one only where there is an ``[UNK]``."""

MARKERS = ("<pad>", "<start>", "<end>")
"""How the first three are written where they must be shown."""

_NAMED = 10


class SentenceVocabulary(Protocol):
    """From a cleaned sentence to tokens and back, for one language. Two that compare equal number everything alike."""

    @property
    def size(self) -> int:
        """Number of tokens, the special ones counted."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Number of ``[UNK]``; None where an unknown word is an error."""
        ...

    def number(self, sentences: Sequence[str]) -> list[list[int]]:
        """Each sentence's tokens, without markers.

        Raises:
            UnknownWords: a word has no number, and there is no ``[UNK]``.
        """
        ...

    def pieces(self, sentence: str) -> list[str]:
        """A sentence's tokens as people read them, unknown ones as they are written in it."""
        ...

    def name(self, number: int) -> str:
        """One token as people read it."""
        ...

    def text(self, numbers: Sequence[int]) -> str:
        """The sentence of tokens, without markers."""
        ...


class UnknownWords(DataError):
    """A sentence has words that a vocabulary without ``[UNK]`` lacks.

    Args:
        words: those words.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        named = ", ".join(map(repr, words[:_NAMED])) + (f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else "")
        message = f"the vocabulary lacks the word{'s' if len(words) > 1 else ''} {named}"
        hint = f"write other words, or train with data.vocabulary.unknown=replace, which reads them as {UNKNOWN_TOKEN}"
        super().__init__(str(Problem("", message, hint=hint)))
