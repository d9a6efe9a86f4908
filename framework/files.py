"""Files that are written whole or not at all, never through a link, and read only where they are plain files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PART = ".part-"
"""Begins the names of files that are being written; what a kill leaves of them may be removed."""

_NESTED = 200
"""Levels of lists and mappings in a JSON file, at most: what walks over them calls itself for each."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path`` for the block to write; it takes the place of ``path`` when the block has ended well.

    A kill at any moment leaves the old file or the new one. Each writer has a file of its own, so that of several at once the last
    one wins. The new file has the permissions that the user's umask gives, whatever the block does to it, and is on the disk, with
    its name, once this returns. A link at ``path`` is replaced, not followed.

    Args:
        path: file to write or replace; its folder is there.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    # The ending stays: some libraries tell the format by it.
    part = path.with_name(f"{PART}{secrets.token_hex(6)}-{path.name[-40:]}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    try:
        yield part
        _sync_file(part, mode)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Replaces ``path`` by ``text`` in UTF-8, as :func:`replacing` does; its folder is made where there is none.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8"))


def expanded(path: str | Path) -> Path:
    """The path with ``~`` replaced by the user's home.

    Raises:
        FileNotFoundError: nobody knows of a home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder: HOME is not set", str(path)) from error


def open_plain(path: Path) -> IO[bytes]:
    """Opens a file to read, if it is one: a pipe would wait for ever, and a device never end.

    Raises:
        OSError: it is missing, may not be read, or is a folder, pipe or device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "is no plain file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: see :func:`open_plain`.
    """
    with open_plain(path) as file:
        return file.read()


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        OSError: see :func:`open_plain`.
        ValueError: see :func:`parse_json`.
    """
    return parse_json(read_plain(path))


def parse_json(content: bytes | str) -> Any:
    """The value that a JSON text means.

    Raises:
        ValueError: it is no JSON in UTF-8, or lists within lists without end.
    """
    try:
        value = json.loads(content.decode("utf-8") if isinstance(content, bytes) else content)
    except RecursionError:
        raise ValueError(f"it is nested more than {_NESTED} levels deep") from None
    if _is_deeper(value, _NESTED):
        raise ValueError(f"it is nested more than {_NESTED} levels deep")
    return value


def entries_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything in a folder and in the folders below it, however deep; folders that are links are not entered.

    Raises:
        OSError: a folder cannot be looked into.
    """
    folders = [str(folder)]
    while folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:  # it may have just been replaced
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a loss of power, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file(path: Path, mode: int) -> None:
    """Puts a file on the disk; some libraries replace it by one that other users may not read."""
    with path.open("rb+") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
            with contextlib.suppress(OSError):
                path.chmod(mode)
        os.fsync(file.fileno())


def _is_deeper(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)
