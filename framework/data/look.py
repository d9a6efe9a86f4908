"""A look at the text that a config names, as far as it costs no time: is it there, is it text, does it suffice."""

from __future__ import annotations

from framework.data.files import find_files
from framework.data.prepare import prepare
from framework.data.reading import read_files
from framework.errors import DataError, Problem
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

_WHOLE = 2**22
"""Bytes of text that are read and numbered as for a training; of longer texts only so many characters are looked at."""


def look_at_text(spec: TextDataSpec, paths: PathsSpec) -> list[Problem]:
    """What is wrong with the files that a config names as its text.

    Args:
        spec: an experiment's ``data``, with a path.
        paths: an experiment's ``paths``.
    """
    assert spec.path is not None
    try:
        files = find_files(spec.path)
        if sum(file.stat().st_size for file in files) <= _WHOLE:
            prepare(spec, paths, 0)
            return []
        read = 0
        for piece in read_files(files, spec.encoding):
            read += len(piece)
            if read > _WHOLE:
                break
    except DataError as error:
        return [error.problem or Problem("data.path", str(error))]
    except OSError as error:
        return [Problem("data.path", f"'{error.filename}' cannot be read: {error.strerror}")]
    return []
