"""What takes long to make and is kept in the cache folder: made once, by one process, while others wait for it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from framework.errors import DataError, Problem, RunError
from framework.file_lock import file_lock
from framework.files import PART, sync_folder

KeptT = TypeVar("KeptT")

HAS_ROOM = "set paths.cache_dir to a folder that can be written and has room"
"""What helps where nothing can be written into the cache."""

_ABANDONED = 24 * 3600
"""Seconds after which a half folder of something else is one that a killed process has left."""


def kept(
    root: Path,
    key: str,
    what: str,
    find: Callable[[], KeptT | None],
    make: Callable[[Path], str],
    opened: Callable[[Path], KeptT | None],
) -> KeptT:
    """What is kept under a key: found, or else made, by one process, while others wait for it and say so.

    A kill at any moment leaves nothing that counts: a folder takes its name only when it is whole and on the disk.

    Args:
        root: folder in the cache of all that is alike; made where there is none.
        key: of what is asked for, fit for a file's name; of several that ask for the same at once, one makes it.
        what: it is, for messages, such as ``the tokens of my.txt``.
        find: opens it where it is there; None where it is not, or not whole.
        make: makes it in the empty folder that it is given, and says what that folder is to be called.
        opened: opens the folder of that name; None where it is not whole.

    Raises:
        DataError: the cache cannot be written; or what ``find`` and ``make`` raise.
    """
    if (found := find()) is not None:
        return found
    try:
        with file_lock(root / f"{key}.lock", waiting=lambda: say_waiting(what), remove=True):
            if (found := find()) is not None:  # another process has made it in the meantime
                return found
            folder = _made(root, key, what, make, opened)
            found = opened(folder)
    except (OSError, RunError) as error:
        cause = error.__cause__ if isinstance(error, RunError) else error
        reason = cause.strerror if isinstance(cause, OSError) else None
        raise DataError(Problem("paths.cache_dir", f"'{root}' cannot be written: {reason or error}", hint=HAS_ROOM)) from error
    if found is None:
        raise DataError(Problem("paths.cache_dir", f"'{folder}' cannot be read once it is written", hint="set it to another folder"))
    return found


def say_waiting(what: str) -> None:
    """Says that another process makes something, and that this one waits for it."""
    logging.getLogger("gatework").warning("waiting for another process, which makes %s", what)


def _made(root: Path, key: str, what: str, make: Callable[[Path], str], opened: Callable[[Path], KeptT | None]) -> Path:
    """The folder, made anew in the place of one that is not whole."""
    _remove_left(root, key)
    part = root / f"{PART}{key}-{secrets.token_hex(6)}"
    try:
        part.mkdir()
        folder = root / make(part)
        for file in part.iterdir():
            _sync(file)
        if folder.exists() and opened(folder) is None:
            logging.getLogger("gatework").warning("%s was damaged; %s were made anew", folder, what)
            shutil.rmtree(folder)
        with contextlib.suppress(OSError):  # where locks do not reach, another host may have been faster
            os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(root)
    return folder


def _remove_left(root: Path, key: str) -> None:
    """Removes what kills have left: of this key all, as nobody else is at it, of others what is old."""
    for one in root.glob(f"{PART}*"):
        with contextlib.suppress(OSError):
            if one.name.startswith(f"{PART}{key}-") or time.time() - one.stat().st_mtime > _ABANDONED:
                shutil.rmtree(one, ignore_errors=True)


def _sync(file: Path) -> None:
    """Puts a file on the disk: what has its name is taken for whole."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
