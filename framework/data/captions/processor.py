"""From photos to what a captioning model reads, and from what it writes back to a caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from framework.data.features.lasting import extract_lasting
from framework.data.features.store import FeatureStore, digest_of
from framework.data.images.decode import ImageFault, pixels
from framework.data.sentences.saved import SavedSides
from framework.data.sentences.side import Side
from framework.data.sentences.written import WritesSentences
from framework.errors import DataError, InputError
from framework.files import read_plain
from framework.spec.features import FeaturesSpec, PixelFeaturesSpec, parse_features

PROCESSOR_FILE = "captions.json"
"""Name of a processor's file in a run's or a model's folder; a model of subwords lies beside it."""

PROCESSOR_VERSION = 1
"""Version of that file's form."""

Photo = str | Path | bytes
"""A file's path, or what the file holds."""


@dataclass(frozen=True)
class CaptionsProcessor(WritesSentences, SavedSides):
    """Photos and their captions.

    Attributes:
        target: captions, which are written.
        features: what is seen of a photo, without places on this machine.
        shape: places of a photo and numbers of each.
        store: features that were computed already, looked at first; no part of what is saved.
    """

    file: ClassVar[str] = PROCESSOR_FILE
    version: ClassVar[int] = PROCESSOR_VERSION
    holds: ClassVar[Literal["vocabulary", "vocabularies"]] = "vocabulary"

    target: Side
    features: FeaturesSpec
    shape: tuple[int, int]
    store: FeatureStore | None = field(default=None, compare=False, repr=False)

    @property
    def sizes(self) -> Mapping[str, int]:
        """``target``, ``places`` and ``features``."""
        places, width = self.shape
        return {"target": self.target.vocabulary.size, "places": places, "features": width}

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of a photo's places, which come row by row; None where they are no square."""
        side = round(self.shape[0] ** 0.5)
        return (side, side) if side * side == self.shape[0] else None

    def encode_images(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        """What the model sees of photos, ``(photos, places, width) float32``; in the type in which features are kept.

        Raises:
            DataError: a photo cannot be read; it is named, by its number where it has no name.
            InputError: the features came from a file, so that nobody can compute those of a photo, or what computes them is not here.
        """
        if not isinstance(self.features, PixelFeaturesSpec):
            raise InputError("the model was trained on features from a file (data.features.kind=file): nothing computes those of a photo")
        contents = [_content(photo, number) for number, photo in enumerate(photos, start=1)]
        found = np.empty((len(contents), *self.shape), np.float32)
        rows = np.full(len(contents), -1) if self.store is None else self.store.rows([digest_of(content) for content in contents])
        if self.store is not None and np.any(rows >= 0):
            found[rows >= 0] = self.store.values()[rows[rows >= 0]]
        missing = np.flatnonzero(rows < 0)
        if missing.size:
            self._compute(photos, contents, missing, found)
        return found

    def _compute(self, photos: Sequence[Photo], contents: Sequence[bytes], missing: NDArray[np.intp], found: NDArray[np.float32]) -> None:
        features = self.features
        assert isinstance(features, PixelFeaturesSpec)
        for start in range(0, len(missing), features.batch_size):
            some = missing[start : start + features.batch_size]
            images = np.stack([_pixels(photos[one], contents[one], int(one) + 1, features.image_size) for one in some])
            values = extract_lasting(features, images)
            if values.shape[1:] != self.shape:
                raise DataError(f"features of shape {values.shape[1:]}; the model was trained on {self.shape}")
            found[some] = values.astype(features.dtype)

    def sides(self) -> Mapping[str, Side]:
        """``target``."""
        return {"target": self.target}

    def further(self) -> Mapping[str, Any]:
        """``features`` and ``shape``."""
        return {"features": self.features.model_dump(mode="json"), "shape": list(self.shape)}

    @classmethod
    def of_json(cls, content: Mapping[str, Any], folder: Path) -> CaptionsProcessor:
        """From what the file holds; see :meth:`SavedSides.of_json`."""
        return cls(Side.from_json(content, "target", folder), _features(content), _shape(content))


def _features(content: Mapping[str, Any]) -> FeaturesSpec:
    try:
        return parse_features(content.get("features"))
    except (ValidationError, ValueError) as error:
        raise DataError(f"its features: {error}") from error


def _shape(content: Mapping[str, Any]) -> tuple[int, int]:
    shape = content.get("shape")
    numbers = [one for one in shape if isinstance(one, int) and not isinstance(one, bool) and one > 0] if isinstance(shape, list) else []
    if not isinstance(shape, list) or len(shape) != 2 or len(numbers) != 2:
        raise DataError(f"its shape is {shape!r}; expected two whole numbers from 1 on")
    return int(shape[0]), int(shape[1])


def _name(photo: Photo, number: int) -> str:
    return f"image {number}" if isinstance(photo, bytes) else f"'{photo}'"


def _content(photo: Photo, number: int) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return read_plain(Path(photo))
    except OSError as error:
        raise DataError(f"{_name(photo, number)} cannot be read: {error.strerror or error}") from error


def _pixels(photo: Photo, content: bytes, number: int, size: int) -> NDArray[np.uint8]:
    try:
        return pixels(content, size)
    except ImageFault as error:
        raise DataError(f"{_name(photo, number)} cannot be used: {error}") from error
