"""Passwords in the overrides of a multirun, handed on to its jobs by the environment: launchers write overrides to files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from framework.secrets import HANDED_ON, remember_address, secret_spans

_GRAMMAR = ",'{}[]()"
"""Characters that end a plain value in Hydra's grammar."""


@contextmanager
def by_environment(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides with ``${oc.env:…}`` in the place of each password, and variables that hold these as long as the context lasts.

    Args:
        overrides: as typed.
    """
    names: dict[str, str] = {}
    words = [_handed_on(text, names) for text in overrides]
    os.environ.update({name: secret for secret, name in names.items()})
    try:
        yield words
    finally:
        for name in names.values():
            os.environ.pop(name, None)


def _handed_on(text: str, names: dict[str, str]) -> str:
    for stops in (_GRAMMAR, ""):  # a password may hold what ends a value, where the value is quoted
        for address in re.finditer(rf"[\w.+-]+://[^\s\"<>{re.escape(stops)}]+", text):
            remember_address(address[0])
        for start, end in reversed(list(secret_spans(text, stops))):
            if HANDED_ON in text[start:end]:
                continue
            name = names.setdefault(text[start:end], f"{HANDED_ON}{len(names) + 1}")
            text = f"{text[:start]}${{oc.env:{name}}}{text[end:]}"
    return text
