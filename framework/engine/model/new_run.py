"""A run that no training made: written into a folder apart, which gets the run's name once it is whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from framework.engine.run.folder import RunFolder
from framework.engine.run.summary import write_summary
from framework.errors import RunError
from framework.files import PART


@contextmanager
def new_run(folder: RunFolder) -> Iterator[RunFolder]:
    """The folder to write into. It becomes the run, with a report, when the block ends; where it fails, nothing is left of it.

    Args:
        folder: of the run to be; nothing is there yet.

    Raises:
        RunError: a file cannot be written.
    """
    part = RunFolder(folder.path.with_name(f"{PART}{secrets.token_hex(6)}-{folder.name[-40:]}"))
    try:
        yield part
        part.path.rename(folder.path)
    except OSError as error:
        raise RunError(f"cannot write {folder.path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part.path, ignore_errors=True)
    write_summary(folder)
