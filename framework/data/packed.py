"""Texts within compressed files, read piece by piece: nothing is unpacked to the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from framework.errors import DataError, Problem, nearest

_GZIP = b"\x1f\x8b"
_SHOWN = 10


@dataclass(frozen=True)
class PackedText:
    """A gzip file, or one file of a zip archive.

    Attributes:
        path: of the file.
        member: the file's name within the archive; None for gzip.
    """

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    def blocks(self, size: int) -> Iterator[bytes]:
        """What it holds, in blocks of at most ``size`` bytes.

        Raises:
            DataError: it is no such file, or it is damaged.
        """
        with readable(self), _opened(self) as stream:
            while block := stream.read(size):
                yield block


def text_file(path: Path, member: str | None, key: str) -> Path | PackedText:
    """The text that a path means, by its ending: a gzip file's, that of one file of a zip archive, or the file itself.

    Args:
        path: of a file that is there.
        member: file of an archive; may be left out where there is but one.
        key: setting that named it, for messages, such as ``data.member``.

    Raises:
        DataError: the archive cannot be read, or has no such file, or has several; they are named.
    """
    if path.suffix.lower() == ".zip":
        return PackedText(path, _member(path, member, key))
    if member is not None:
        raise DataError(Problem(key, f"'{path}' is no zip archive", value=member, hint=f"set {key}=null"))
    return PackedText(path) if path.suffix.lower() == ".gz" else path


def _member(path: Path, member: str | None, key: str) -> str:
    import zipfile

    with readable(path), zipfile.ZipFile(path) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
    if member in names:
        return str(member)
    expected = "one of " + ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else None
    if member is not None:
        message = f"'{path}' has no file of that name"
        raise DataError(Problem(key, message, value=member, expected=expected, suggestion=nearest(member, names)))
    if len(names) != 1:
        raise DataError(Problem(key, f"'{path}' holds {len(names) or 'no'} files", expected=expected))
    return names[0]


@contextmanager
def _opened(text: PackedText) -> Iterator[IO[bytes]]:
    if text.member is not None:
        import zipfile

        with zipfile.ZipFile(text.path) as archive, archive.open(text.member) as stream:
            yield stream
        return
    import gzip

    with text.path.open("rb") as packed:
        if (head := packed.read(2)) != _GZIP:
            hint = "give it a name without .gz if it is plain text"
            raise DataError(Problem("", f"'{text.path}' is no gzip file: it begins with {head!r}", expected=repr(_GZIP), hint=hint))
        packed.seek(0)
        with gzip.GzipFile(fileobj=packed) as stream:
            yield cast(IO[bytes], stream)


@contextmanager
def readable(text: object) -> Iterator[None]:
    """What libraries say of a file that they cannot unpack, in our words."""
    import zipfile
    import zlib

    try:
        yield
    except EOFError as error:
        raise DataError(f"'{text}' ends too early: it was not copied or fetched whole") from error
    except (zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"'{text}' cannot be unpacked: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # another way of compressing, or a password
        raise DataError(f"'{text}' cannot be unpacked: {error}; pack it anew with plain zip") from error
    except OSError as error:
        raise DataError(f"'{text}' cannot be read: {error.strerror or error}") from error
