"""Text out of files, piece by piece, with errors that say which byte of which file is no text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from encodings.aliases import aliases
from itertools import chain
from pathlib import Path
from typing import Protocol

from framework.errors import DataError, Problem, nearest

PIECE = 1 << 18
"""Characters (and bytes of a file) that are looked at together; bounds the memory above the tokens' own."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Blocks(Protocol):
    """What gives a text's bytes itself, such as one within an archive; messages call it what ``str`` does."""

    def blocks(self, size: int) -> Iterator[bytes]:
        """The text in blocks of at most ``size`` bytes."""
        ...


def read_files(files: Iterable[Path | Blocks], encoding: str) -> Iterator[str]:
    r"""The files' text, one after the other, in pieces.

    A byte-order mark at a file's start is left out. Line ends become ``\n``, whether they were ``\n``, ``\r\n`` or ``\r``.
    Where a file does not end with a line end, one is put before the next file; after the last one nothing is added.

    Args:
        files: files to read.
        encoding: Python's name of their encoding.

    Raises:
        DataError: the encoding is unknown; a file cannot be opened, or is no text (names the byte and its place).
    """
    decoder_name = _decoder_name(encoding)
    last = "\n"
    for file in files:
        first = True
        for piece in _read_file(file, decoder_name, encoding):
            if first and last != "\n":
                yield "\n"
            first = False
            last = piece[-1]
            yield piece


def even_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in pieces of ``PIECE`` characters, the last one shorter; never an empty one."""
    held: list[str] = []
    length = 0
    for piece in pieces:
        start = 0
        while length + len(piece) - start >= PIECE:
            end = start + PIECE - length
            yield "".join([*held, piece[start:end]])
            held, length, start = [], 0, end
        if start < len(piece):
            held.append(piece[start:])
            length += len(piece) - start
    if held:
        yield "".join(held)


def read_lines(file: Path | Blocks, encoding: str) -> Iterator[str]:
    """A file's lines without their ends; a last line end begins no further line.

    Raises:
        DataError: see :func:`read_files`.
    """
    return split_lines(read_files([file], encoding))


def split_lines(pieces: Iterable[str]) -> Iterator[str]:
    r"""The lines of a text in pieces; only ``\n`` ends one."""
    held: list[str] = []
    for piece in pieces:
        first, *others = piece.split("\n")
        held.append(first)
        if others:
            yield "".join(held)
            held = [others.pop()]
            yield from others
    if last := "".join(held):
        yield last


def _decoder_name(encoding: str) -> str:
    """The codec's own name, with the one of UTF-8 that accepts a byte-order mark."""
    try:
        name = codecs.lookup(encoding).name
        "a".encode(encoding)  # refuses codecs that are no text encodings, such as base64
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError) as error:
        known = {*aliases, *aliases.values(), "utf-8"}
        problem = Problem(
            path="data.encoding",
            message=f"unknown encoding '{encoding}'",
            expected="a name of a text encoding in Python, such as utf-8, latin-1 or utf-16",
            suggestion=nearest(encoding, known),
        )
        raise DataError(problem) from error
    return "utf-8-sig" if name == "utf-8" else name


def _read_file(file: Path | Blocks, decoder_name: str, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(decoder_name)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    wide = decoder_name.startswith(("utf-16", "utf-32"))
    done = 0
    try:
        for block in chain(_blocks(file, PIECE), [b""]):
            if not wide and (nul := block.find(b"\0")) >= 0:
                raise _no_text(file, encoding, done + nul, "is NUL, as in binary files", _mark_hint(file))
            done += len(block)
            text = newlines.decode(decoder.decode(block, final=not block), final=not block)
            if text:
                yield text
    except UnicodeDecodeError as error:
        # The decoder reports the place within what it had kept from before plus the block; all of that ends at `done`.
        offset = done - len(error.object) + error.start
        byte = error.object[error.start]
        raise _no_text(file, encoding, offset, f"is 0x{byte:02x}: {error.reason}", _mark_hint(file)) from error
    except OSError as error:
        raise DataError(f"'{file}' cannot be read: {error.strerror or error}") from error


def _blocks(file: Path | Blocks, size: int) -> Iterator[bytes]:
    if not isinstance(file, Path):
        yield from file.blocks(size)
        return
    with file.open("rb") as stream:
        while block := stream.read(size):
            yield block


def _no_text(file: Path | Blocks, encoding: str, offset: int, what: str, hint: str) -> DataError:
    message = f"'{file}' is no {encoding} text: the byte at offset {offset:,} {what}"
    return DataError(Problem("", message, hint=hint))


def _mark_hint(file: Path | Blocks) -> str:
    head = next(_blocks(file, 4), b"")
    for mark, name in _MARKS:
        if head.startswith(mark):
            return f"its first bytes say {name}: set data.encoding={name}"
    return "set data.encoding to the file's own, or leave the file out with a glob such as data.path='texts/**/*.txt'"
