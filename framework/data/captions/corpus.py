"""Named corpora of images with captions: they need no path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from framework.data.images.found import Images
from framework.registry import Registry


class CaptionCorpus(Protocol):
    """Images with captions, the same ones each time."""

    @property
    def images(self) -> Images:
        """Where the images are read."""
        ...

    def captions(self) -> Iterable[tuple[str, str, str | None]]:
        """The image's name, a caption, and the part where the corpus says so, of each caption."""
        ...


CAPTION_CORPORA: Registry[Callable[[], CaptionCorpus]] = Registry("data.corpus", "corpus of images")
"""Corpora by name."""


def caption_corpus(name: str) -> Callable[[Callable[[], CaptionCorpus]], Callable[[], CaptionCorpus]]:
    """Register a corpus of images with captions, so that ``data.corpus=NAME`` reads it. For plug-ins.

    Args:
        name: what a config calls it.
    """

    def register(corpus: Callable[[], CaptionCorpus]) -> Callable[[], CaptionCorpus]:
        CAPTION_CORPORA.add(name, corpus)
        return corpus

    return register
