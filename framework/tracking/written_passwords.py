"""Passwords that earlier versions wrote into the folders of runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from framework.files import read_plain, replace_text
from framework.secrets import conceal

_CONFIGS = ("config/*.yaml", "model/spec.yaml", "run.json", "multirun.json", "jobs.json")


def take_out_passwords(folder: Path) -> None:
    """Takes the passwords out of the addresses in a run's configs; before anything of them is delivered.

    Args:
        folder: the run's folder. A file that cannot be read or written stays as it is.
    """
    for pattern in _CONFIGS:
        for path in folder.glob(pattern):
            with suppress(OSError, UnicodeDecodeError):
                text = read_plain(path).decode("utf-8")
                shown = conceal(text)
                if shown != text:
                    replace_text(path, shown)
