"""Files in which a run keeps how its raw input was read: one clear message for whatever is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from framework.errors import DataError
from framework.files import read_json

MadeT = TypeVar("MadeT")


def read_saved(file: Path, what: Literal["vocabulary", "vocabularies"], make: Callable[[Any], MadeT]) -> MadeT:
    """What a JSON file holds, made into what it was written from.

    Args:
        file: to read.
        what: it holds, for messages.
        make: from the file's content; a ``DataError`` of its own is told with the file's name.

    Raises:
        DataError: the file cannot be read, is no JSON, or ``make`` refuses what it holds.
    """
    try:
        content = read_json(file)
    except OSError as error:
        raise DataError(f"{what} '{file}' cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{what} '{file}' {'is' if what == 'vocabulary' else 'are'} no JSON: {error}") from error
    try:
        return make(content)
    except DataError as error:
        raise DataError(f"{what} '{file}' cannot be used: {error}") from error
