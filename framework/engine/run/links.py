"""A run writes in its own folder alone: not through links that somebody put into it."""

from __future__ import annotations

import os
from pathlib import Path

from framework.errors import RunError
from framework.files import entries_below


def refuse_links(folder: Path) -> None:
    """Makes sure that all that lies in a folder are files and folders; nothing where there is no such folder.

    Args:
        folder: a run's or a multirun's; it may itself be reached through a link.

    Raises:
        RunError: something in it is a link, or a pipe or device, which could be waited for without end; or it cannot be looked at.
    """
    try:
        for entry in entries_below(folder):
            if entry.is_symlink():
                raise RunError(
                    f"{entry.path} is a link to {os.readlink(entry.path)}: a run writes in its own folder alone; "
                    "put the file or folder itself there, or start another run with name=… or resume=never"
                )
            if not (entry.is_file() or entry.is_dir()):
                raise RunError(f"{entry.path} is neither a file nor a folder; remove it, or start another run with name=… or resume=never")
    except OSError as error:
        raise RunError(f"cannot look into {error.filename or folder}: {error.strerror or error}") from error
