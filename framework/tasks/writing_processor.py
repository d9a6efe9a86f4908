"""What writing asks of a data kind's processor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.data.processor import Processor


class WritingProcessor(Processor, Protocol):
    """From the tokens of a target back to text."""

    @property
    def start_id(self) -> int:
        """Number that a target begins with."""
        ...

    @property
    def end_id(self) -> int:
        """Number that ends a target."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Number of the target's ``[UNK]``, which is among the banned; None where there is none."""
        ...

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        """Each token as people read it."""
        ...

    def target_text(self, number: int) -> str:
        """What a token adds to the text, with the space before it where it has one."""
        ...

    def decode_target(self, ids: Iterable[int]) -> str:
        """The text of tokens, up to the first end marker."""
        ...

    def clean_target(self, text: str) -> str:
        """A raw sentence of the target as it is before it is numbered."""
        ...


class SentenceProcessor(WritingProcessor, Protocol):
    """From raw sentences to the tokens of a source, too."""

    def encode_source(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences, ``(rows, longest) int32``: each between a start and an end marker, 0 behind shorter ones."""
        ...

    def source_tokens(self, text: str) -> list[str]:
        """The tokens of a raw sentence as people read them, one for each that :meth:`encode_source` gives but the markers."""
        ...


class ImageProcessor(WritingProcessor, Protocol):
    """From image files to what a model sees of them, too."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of an image's places, which come row by row; None where they make no grid."""
        ...

    def encode_images(self, images: Sequence[Any]) -> NDArray[np.float32]:
        """Images, each a file's path or what the file holds: ``(images, places, width) float32``."""
        ...
