"""Where running text is read, again and again: piece by piece, and known by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from framework.data.download import cache_folder
from framework.data.known_digests import KnownDigests
from framework.data.reading import PIECE, read_files
from framework.data.watched import tell
from framework.errors import DataError
from framework.spec.experiment import PathsSpec

DIGESTS = "digests"
"""Folder in the cache where it is remembered what large files hold."""

_MEGABYTE = 10**6


@dataclass(frozen=True)
class Reading:
    """One pass over a text.

    Attributes:
        pieces: the text.
        digest: SHA-256 of the content; to be asked for once all pieces are taken, and what is made of them is done.
    """

    pieces: Iterator[str]
    digest: Callable[[], str]


class TextSource(Protocol):
    """A text that can be read several times.

    Attributes:
        name: where it is, for people.
    """

    name: str

    def parts(self) -> list[tuple[str, Iterable[str]]]:
        """Each file's name and its text; an empty name for a text that is in no file."""
        ...

    def held(self, size: int) -> Iterable[str] | None:
        """The text in pieces; None where it is longer than that many bytes, or characters if it is in no file."""
        ...

    def outline(self) -> list[object]:
        """What can be told of the text without reading it; another text may have the same."""
        ...

    def digest(self) -> str:
        """SHA-256 of the content, remembered or read; not that of another text."""
        ...

    def reading(self) -> Reading:
        """Reads the text, and tells whoever watches."""
        ...


class FileText:
    """The text of files, one after the other; see :class:`TextSource`.

    Args:
        files: to read, in order.
        encoding: Python's name of their encoding.
        paths: where the cache is, in which their digests are remembered.
        name: for people; that of the files when not given.
    """

    def __init__(self, files: Sequence[Path], encoding: str, paths: PathsSpec, name: str = "") -> None:
        described = str(files[0]) if len(files) == 1 else f"{len(files):,} files, {files[0]} to {files[-1]}"
        self.name = name or described
        self._files = tuple(files)
        self._encoding = encoding
        self._paths = paths

    def parts(self) -> list[tuple[str, Iterable[str]]]:
        """Of each file."""
        return [(str(file), read_files([file], self._encoding)) for file in self._files]

    def held(self, size: int) -> Iterable[str] | None:
        """By the files' sizes."""
        return read_files(self._files, self._encoding) if sum(self._sizes()) <= size else None

    def outline(self) -> list[object]:
        """The files' sizes."""
        return list(self._sizes())

    def digest(self) -> str:
        """Of the files' digests; those that are not known are read."""
        known = self._known()
        found = known.digests()
        unknown = [number for number, digest in enumerate(found) if digest is None]
        if unknown:
            told = _Told(sum(known.stamps[number][0] for number in unknown), "checksum of the text")
            for number in unknown:
                found[number] = _HashedFile(self._files[number], told).read()
            told.end()
            known.keep([digest or "" for digest in found])
        return _joined([digest or "" for digest in found])

    def reading(self) -> Reading:
        """The files' digests are remembered once they are read."""
        known = self._known()
        told = _Told(sum(size for size, *_ in known.stamps), "tokens")
        hashed = [_HashedFile(file, told) for file in self._files]

        def digest() -> str:
            told.end()
            digests = [file.digest for file in hashed]
            known.keep(digests)
            return _joined(digests)

        return Reading(read_files(hashed, self._encoding), digest)

    def _known(self) -> KnownDigests:
        try:
            return KnownDigests(cache_folder(self._paths) / DIGESTS, self._files)
        except OSError as error:
            raise DataError(f"'{error.filename}' cannot be read: {error.strerror}") from error

    def _sizes(self) -> list[int]:
        try:
            return [file.stat().st_size for file in self._files]
        except OSError as error:
            raise DataError(f"'{error.filename}' cannot be read: {error.strerror}") from error


class CorpusText:
    """The text of a registered corpus that gives its pieces itself; see :class:`TextSource`.

    Args:
        name: of the corpus.
        read: gives the text.
        given: what it has given when it was first asked.
    """

    def __init__(self, name: str, read: Callable[[], Iterable[str]], given: Iterable[str]) -> None:
        self.name = f"corpus {name}"
        self._read = read
        self._given: Iterable[str] | None = given

    def parts(self) -> list[tuple[str, Iterable[str]]]:
        """One, without a name."""
        return [("", self._pieces())]

    def held(self, size: int) -> Iterable[str] | None:
        """Whether it is longer is known only once it is read."""
        pieces, length = [], 0
        for piece in self._pieces():
            pieces.append(piece)
            length += len(piece)
            if length > size:
                return None
        return pieces

    def outline(self) -> list[object]:
        """Its name."""
        return [self.name]

    def digest(self) -> str:
        """Always read: nothing tells that it is still the same."""
        reading = self.reading()
        for _ in reading.pieces:
            pass
        return reading.digest()

    def reading(self) -> Reading:
        """Nobody is told, as its length is not known."""
        digest = hashlib.sha256()

        def pieces() -> Iterator[str]:
            for piece in self._pieces():
                digest.update(piece.encode("utf-8", "surrogatepass"))
                yield piece

        return Reading(pieces(), digest.hexdigest)

    def _pieces(self) -> Iterable[str]:
        given, self._given = self._given, None
        return self._read() if given is None else given


class _Told:
    """Tells how many megabytes are read."""

    def __init__(self, size: int, made: str) -> None:
        self._total = max(1, size // _MEGABYTE)
        self._made = made
        self._read = self._shown = 0
        tell(0, self._total, made, "MB")

    def __call__(self, size: int) -> None:
        self._read += size
        done = min(self._read // _MEGABYTE, self._total - 1)
        if done > self._shown:
            self._shown = done
            tell(done, self._total, self._made, "MB")

    def end(self) -> None:
        tell(self._total, self._total, self._made, "MB")


class _HashedFile:
    """A file that is hashed as it is read.

    Args:
        path: of the file.
        told: how many bytes were read.
    """

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        self._path = path
        self._told = told
        self.digest = ""

    def __str__(self) -> str:
        return str(self._path)

    def blocks(self, size: int) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self._path.open("rb") as stream:
            while block := stream.read(size):
                digest.update(block)
                self._told(len(block))
                yield block
        self.digest = digest.hexdigest()

    def read(self) -> str:
        """The digest of the whole file.

        Raises:
            DataError: it cannot be read.
        """
        try:
            for _ in self.blocks(PIECE):
                pass
        except OSError as error:
            raise DataError(f"'{self}' cannot be read: {error.strerror or error}") from error
        return self.digest


def _joined(digests: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(digests).encode("ascii")).hexdigest()
