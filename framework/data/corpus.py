"""Named corpora: texts that need no path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from framework.registry import Registry

CorpusReader = Callable[[], Iterable[str] | Path]
"""Gives the text in pieces of any length, or the file or folder that holds it."""

CORPORA: Registry[CorpusReader] = Registry("data.corpus", "corpus")
"""Corpora by name."""


def corpus(name: str) -> Callable[[CorpusReader], CorpusReader]:
    r"""Register a corpus, so that ``data.corpus=NAME`` reads it.

    The function must give the same text each time it is called. Put it into a module that an entry point of the group
    ``gatework.plugins`` names:

        @corpus("my_letters")
        def read_my_letters() -> Iterable[str]:
            yield "Dear reader,\n"

    Args:
        name: what a config calls it.
    """

    def register(reader: CorpusReader) -> CorpusReader:
        CORPORA.add(name, reader)
        return reader

    return register
