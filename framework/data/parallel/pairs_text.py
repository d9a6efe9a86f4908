"""Raw pairs of sentences, read line by line; lines that are no pairs are left out, counted and named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from framework.data.packed import PackedText
from framework.data.reading import read_lines, split_lines
from framework.errors import DataError, Problem

_NAMED = 10
_EARLY = 1_000
"""A file whose first lines, so many, are no pairs is not read on."""


@dataclass(frozen=True)
class Columns:
    """A text with a pair a line, in columns that tabs divide.

    Attributes:
        text: a file; or a text in pieces, which can be read again and again.
        name: of the text, for messages.
        source: column of the sentence to read, counted from 1.
        target: column of its translation.
    """

    text: Path | PackedText | Iterable[str]
    name: str
    source: int
    target: int


@dataclass(frozen=True)
class Aligned:
    """Two files with a sentence a line: lines of the same number are a pair.

    Attributes:
        source: sentences to read.
        target: their translations.
    """

    source: Path | PackedText
    target: Path | PackedText

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.source} with {self.target}"


PairsText = Columns | Aligned


@dataclass
class LeftOut:
    """Lines that are no pairs, of one text.

    Attributes:
        name: of the text.
        share: of the lines that may be so.
        lines: read so far; lines with nothing on them do not count.
        count: lines that are no pairs.
        first: number and fault of the first of them.
    """

    name: str
    share: float
    lines: int = 0
    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, fault: str) -> None:
        """Counts a line.

        Raises:
            DataError: not one of the first thousand lines is a pair.
        """
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append((number, fault))
        if self.count == self.lines == _EARLY and self.share < 1:
            raise self._too_many("")

    def finish(self) -> None:
        """To be called when all is read.

        Raises:
            DataError: too many lines are no pairs.
        """
        if self.count > self.share * self.lines:
            raise self._too_many(f" of {self.lines:,}")

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        return ", ".join(f"line {number:,} ({fault})" for number, fault in self.first) + more

    def _too_many(self, of: str) -> DataError:
        lines = f"{self.count:,}{of} lines are no pairs" if self.count > 1 else f"1{of} line{'s' if of else ''} is no pair"
        hint = (
            "mend them, or raise data.max_malformed to leave them out; "
            "in a file with columns, data.source_column and data.target_column say where the sentences stand"
        )
        return DataError(Problem("data", f"{self.name}: {lines}: {self}", expected=f"at most {self.share:.3g} of the lines", hint=hint))


def read_pairs(text: PairsText, encoding: str, left_out: LeftOut) -> Iterator[tuple[int, str, str]]:
    """The pairs: number of the line, counted from 1, sentence to read, and translation.

    Args:
        text: where they are.
        encoding: of files.
        left_out: is told of each line that is no pair.

    Raises:
        DataError: a file cannot be read; two files have different numbers of lines; too many lines are no pairs.
    """
    lines = _columns(text, encoding, left_out) if isinstance(text, Columns) else _aligned(text, encoding, left_out)
    for number, source, target in lines:
        left_out.lines += 1
        if source.isspace() or not source:
            left_out.add(number, "no sentence to read")
        elif target.isspace() or not target:
            left_out.add(number, "no translation")
        else:
            yield number, source, target
    left_out.finish()


def _columns(text: Columns, encoding: str, left_out: LeftOut) -> Iterator[tuple[int, str, str]]:
    lines = read_lines(text.text, encoding) if isinstance(text.text, (Path, PackedText)) else split_lines(text.text)
    needed = max(text.source, text.target)
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            continue
        columns = line.split("\t", needed)
        if len(columns) < needed:
            left_out.lines += 1
            left_out.add(number, f"{len(columns)} column{'s' if len(columns) > 1 else ''}")
            continue
        yield number, columns[text.source - 1], columns[text.target - 1]


def _aligned(text: Aligned, encoding: str, left_out: LeftOut) -> Iterator[tuple[int, str, str]]:
    sides = read_lines(text.source, encoding), read_lines(text.target, encoding)
    for number, (source, target) in enumerate(zip_longest(*sides), start=1):
        if source is None or target is None:
            shorter, longer, rest = (text.source, text.target, sides[1]) if source is None else (text.target, text.source, sides[0])
            lines = f"'{longer}' has {number + sum(1 for _ in rest):,} lines, '{shorter}' only {number - 1:,}"
            raise DataError(Problem("data", lines, expected="files whose lines of the same number are a pair"))
        if (source and not source.isspace()) or (target and not target.isspace()):
            yield number, source, target
