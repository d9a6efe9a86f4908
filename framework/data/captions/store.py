"""Numbered captions and what is seen of their images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batch
from framework.data.captions.gather import Gathered
from framework.data.captions.seen import Seen
from framework.data.images.found import Images
from framework.data.prepared import Example
from framework.data.sentences.batches import MARKED, Rows, padded, taught
from framework.data.sentences.examples import NumberedExamples


@dataclass(frozen=True, eq=False)
class CaptionStore:
    """Captions by number, those of all parts.

    Attributes:
        found: images and raw captions.
        seen: features of the images.
        tokens: of all captions, one after the other, without markers.
        starts: ``(captions + 1,) int64``, where each begins.
        rows: numbers of the captions of each part, in order.
    """

    found: Gathered
    seen: Seen
    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    rows: dict[str, Rows]

    def lengths(self, rows: Rows) -> NDArray[np.uint32]:
        """Tokens of captions, without markers."""
        numbers = rows.astype(np.int64)
        return (self.starts[numbers + 1] - self.starts[numbers]).astype(np.uint32)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest caption of all parts, markers counted."""
        return max(int(self.lengths(rows).max(initial=0)) for rows in self.rows.values()) + MARKED


def caption_batch(store: CaptionStore, rows: Rows, longest: int | None = None) -> Batch:
    """The batch of these captions.

    Args:
        store: holds them.
        rows: their numbers.
        longest: length of the captions, markers counted; None: that of the longest of them.

    Returns:
        Inputs ``image: (batch, places, width) float32`` and ``target: (batch, time - 1) int32`` with the start, without the last place;
        targets ``(batch, time - 1) int32``, the same moved on by one; weights 1 at tokens and at the end marker, 0 at padding.
    """
    given, targets, weights = taught(padded(store.tokens, store.starts, rows, longest))
    return Batch({"image": store.seen.of(store.found.image_of[rows]), "target": given}, targets, weights)


@dataclass(frozen=True, eq=False)
class CaptionExamples(NumberedExamples):
    """The images of a part, in order; each with every caption that it has.

    An image is given as its path, as its file's content where it lies in an archive, or by its name where there are features alone.

    Attributes:
        store: holds the captions.
        part: name of the part.
        images: where the images are read.
    """

    store: CaptionStore
    part: str
    images: Images | None

    def example(self, number: int) -> Example:
        """The image of that number with all its captions."""
        begin, end = (int(np.searchsorted(self._sorted_images, number, side)) for side in ("left", "right"))
        references = dict.fromkeys(self.store.found.texts[caption] for caption in self._sorted[begin:end])
        file = self.store.found.files[number]
        regions = {} if self.images is None else self.images.regions(file)
        return Example({"image": self._image(file)}, tuple(references), self.store.found.images[number], regions)

    def _image(self, file: str) -> str | bytes:
        if self.images is None:
            return file
        path = self.images.path(file)
        return self.images.read(file) if path is None else str(path)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The images of the part."""
        return np.unique(self.store.found.image_of[self.store.rows[self.part]])

    @cached_property
    def _sorted(self) -> NDArray[np.int64]:
        """All captions by image; those of an image in their own order."""
        return np.argsort(self.store.found.image_of, kind="stable")

    @cached_property
    def _sorted_images(self) -> NDArray[np.int64]:
        return self.store.found.image_of[self._sorted]
