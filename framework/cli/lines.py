"""The texts that a verb works on: given as arguments, or a line each from a file or from standard input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

from framework.errors import InputError


def add_file_argument(parser: argparse.ArgumentParser) -> None:
    """The option that names a file."""
    parser.add_argument("--file", metavar="FILE", help="read from a file, a line each; - is standard input")


def given_lines(words: list[str], file: str | None) -> Iterable[str]:
    """The words themselves; else the lines of the file, or of standard input where none is named, as they come.

    A line ends at its line feed alone, so that each line of the input has one of the output.

    Args:
        words: arguments of the command line.
        file: path of a file; ``-`` or None: standard input.

    Raises:
        InputError: both are given; or, while reading, the file cannot be read.
    """
    if words and file is not None:
        raise InputError("texts are given both as arguments and by --file; expected one of the two")
    if words:
        return words
    return _without_ends(sys.stdin) if file is None or file == "-" else _of_file(file)


def _of_file(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8-sig") as lines:
            yield from _without_ends(lines)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"--file {path} cannot be read: {reason}") from error


def _without_ends(lines: Iterable[str]) -> Iterator[str]:
    return (line.removesuffix("\n") for line in lines)
