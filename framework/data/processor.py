"""From what a person gives to what a model reads, and back; it travels with a run and with its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from framework.data.vocabulary import VOCABULARY_FILE, Vocabulary


class Processor(Protocol):
    """What every kind of data's processor offers; a task asks its own kind's for more, such as ``encode`` and ``decode``.

    Two processors that compare equal number and prepare everything alike. What it saves is data, never anything that runs when read.
    """

    @property
    def sizes(self) -> Mapping[str, int]:
        """The numbers that the model's ``${size:NAME}`` stand for."""
        ...

    @property
    def banned(self) -> tuple[int, ...]:
        """Token numbers that a model never writes, such as that of ``[UNK]``; empty where it writes no tokens."""
        ...

    def save(self, folder: Path) -> None:
        """Writes its files into a folder, each at once.

        Raises:
            DataError: they cannot be written.
        """
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what :meth:`save` wrote.

        Raises:
            DataError: a file cannot be read, or is no such thing.
        """
        ...


@dataclass(frozen=True)
class TextProcessor:
    """Text by a vocabulary.

    Attributes:
        vocabulary: of the tokens that a language model reads and writes.
    """

    vocabulary: Vocabulary

    @property
    def sizes(self) -> Mapping[str, int]:
        """``tokens``."""
        return {"tokens": self.vocabulary.size}

    @property
    def banned(self) -> tuple[int, ...]:
        """``[UNK]``, which stands for no text."""
        unknown = self.vocabulary.unknown_id
        return () if unknown is None else (unknown,)

    def save(self, folder: Path) -> None:
        """Writes ``vocabulary.json``.

        Raises:
            DataError: it cannot be written.
        """
        self.vocabulary.save(folder / VOCABULARY_FILE)

    @classmethod
    def load(cls, folder: Path) -> TextProcessor:
        """Reads it.

        Raises:
            DataError: it cannot be read, or is no vocabulary.
        """
        return cls(Vocabulary.load(folder / VOCABULARY_FILE))
