"""The small files of a run: written so that a kill leaves the old one or the new one, and read with every fault told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from framework import files
from framework.errors import RunError


def write_text(path: Path, text: str) -> None:
    """Replaces ``path`` by ``text`` in one step; its folder is made where there is none.

    Raises:
        RunError: the file cannot be written (full disk, no permission, a file where a folder should be).
    """
    try:
        files.replace_text(path, text)
    except (OSError, UnicodeEncodeError) as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error


def write_json(path: Path, value: Any) -> None:
    """Replaces ``path`` by ``value`` as JSON in one step; see :func:`write_text`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in ``path``, or None where there is no such file.

    Raises:
        RunError: the file is there and holds no JSON.
    """
    try:
        return files.read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {reason(error)}") from error


def drop_cut_line(path: Path) -> None:
    """Takes off a last line that a kill has cut short, so that the next one begins on its own; nothing where there is no such file.

    Raises:
        RunError: the file is there and cannot be read or written.
    """
    if not path.is_file():
        return
    try:
        content = files.read_plain(path)
        if content and not content.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    except OSError as error:
        raise RunError(f"cannot read {path}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why something failed, in one line."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
