"""From what a config calls a path to the files that it means."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from framework.errors import DataError, Problem, nearest


def find_files(paths: str | Path | Sequence[str | Path], key: str = "data.path") -> list[Path]:
    """The files that ``paths`` means, each once.

    A folder means every file in it and below it, in the order of their names; names that begin with a dot are left out,
    and folders that are links are not entered. A glob (``*``, ``?``, ``[…]``, ``**``) means the files that it matches, in
    the order of their names. A list's entries keep their order. Relative paths count from the working folder, and ``~`` is
    the user's home.

    Args:
        paths: a file, a folder or a glob, or a list of them.
        key: setting that named them, for messages.

    Raises:
        DataError: a path does not exist (names the nearest one that does), a folder holds no file, a glob matches none.
    """
    entries = [paths] if isinstance(paths, (str, Path)) else paths
    found: list[Path] = []
    for entry in entries:
        if not str(entry).strip():
            raise DataError(Problem(key, "is empty", expected="a file, folder or glob of text files"))
        try:
            found += _expand(Path(entry).expanduser(), key)
        except (OSError, RuntimeError) as error:  # no permission, too long a name, no home folder
            raise DataError(Problem(key, f"'{entry}' cannot be looked up: {error}")) from error
    for file in found:
        if any("\udc80" <= one <= "\udcff" for one in str(file)):  # neither a log nor a YAML file could hold it
            raise DataError(Problem(key, f"the file name {os.fsencode(file)!r} is no UTF-8", expected="another name for the file"))
    return list(dict.fromkeys(found))


def find_file(path: str, key: str) -> Path:
    """The one file that ``path`` means.

    Args:
        path: as a config has it.
        key: setting that named it, for messages.

    Raises:
        DataError: see :func:`find_files`; or it means several.
    """
    found = find_files(path, key)
    if len(found) > 1:
        raise DataError(Problem(key, f"means {len(found):,} files, {found[0]} to {found[-1]}", value=path, expected="one file"))
    return found[0]


def _expand(path: Path, key: str) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return _files_below(path, key)
    if glob.has_magic(str(path)):
        return _matches(path, key)
    if path.exists():
        raise DataError(Problem(key, f"'{path}' is neither a file nor a folder"))
    raise _missing(path, key)


def _files_below(folder: Path, key: str) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".") and Path(parent, name).is_file()]
    if not found:
        raise DataError(Problem(key, f"folder '{folder}' holds no file", hint="files whose names begin with a dot do not count"))
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _matches(pattern: Path, key: str) -> list[Path]:
    fixed = Path(pattern.anchor)
    for part in pattern.relative_to(fixed).parts:
        if glob.has_magic(part):
            break
        fixed /= part
    if not fixed.exists():
        raise _missing(fixed, key)
    found = sorted(Path(match) for match in glob.glob(str(pattern), recursive=True) if Path(match).is_file())
    if not found:
        hint = "write '**' for folders at any depth, such as 'texts/**/*.txt'"
        raise DataError(Problem(key, f"glob '{pattern}' matches no file", hint=hint))
    return found


def _missing(path: Path, key: str) -> DataError:
    """The error for a path that does not exist: the first part of it that is not there, and what is there and called nearly so."""
    child, parent = path, path.parent
    while not parent.exists():
        child, parent = parent, parent.parent
    message = f"'{path}' does not exist"
    if not parent.is_dir():
        return DataError(Problem(key, message, hint=f"'{parent}' is a file, not a folder"))
    name = nearest(child.name, (entry.name for entry in parent.iterdir()))
    if name is None:
        return DataError(Problem(key, message, hint=f"there is no '{child.name}' in folder '{parent.resolve()}'"))
    return DataError(Problem(key, message, suggestion=str(parent / name / path.relative_to(child))))
