"""What every vocabulary of sentences has: special tokens, and an error where a word has none."""

from __future__ import annotations

from collections.abc import Sequence

from framework.errors import DataError, Problem
from framework.spec.data import UNKNOWN_TOKEN

PAD, START, END, UNKNOWN = 0, 1, 2, 3
"""Numbers of the special tokens; the last one only where there is an ``[UNK]``."""

MARKERS = ("<pad>", "<start>", "<end>")
"""How the first three are written where they must be shown."""

_NAMED = 10


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
