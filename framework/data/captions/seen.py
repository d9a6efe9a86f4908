"""What a model sees of the images that have captions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.captions.left_out import LeftOut
from framework.data.download import cache_folder, sha256_of
from framework.data.features.compute import compute_missing
from framework.data.features.file import read_features
from framework.data.features.store import FeatureStore, digest_of
from framework.data.images.decode import ImageFault
from framework.data.images.found import Images
from framework.errors import DataError, Problem
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec
from framework.spec.features import FileFeaturesSpec, PixelFeaturesSpec

FEATURES_FOLDER = "features"
"""Below the cache folder."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Features of images.

    Attributes:
        values: ``(rows, places, width)``, mapped into memory.
        rows: ``(images,) int64``, where in ``values`` each image is.
        digest: SHA-256 of what was looked at and how, 64 hexadecimal digits.
        kept: numbers of the images that have features, in order; ``rows`` has those alone.
        store: has all features of this kind; None where they come from a file.
    """

    values: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    digest: str
    kept: NDArray[np.int64]
    store: FeatureStore | None = field(default=None, repr=False)

    def of(self, images: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of some images, ``(images, places, width) float32``."""
        return np.asarray(self.values[self.rows[images]], np.float32)


def see(files: Sequence[str], images: Images | None, spec: CaptionsDataSpec, paths: PathsSpec) -> Seen:
    """The features of images; computed where they are not yet there.

    Args:
        files: the images' full names.
        images: where they are read.
        spec: which features; how many images may be broken.
        paths: where the cache is.

    Raises:
        DataError: too many images are broken or missing, or the features cannot be kept.
        InputError: the features cannot be computed here.
    """
    if isinstance(spec.features, FileFeaturesSpec):
        return _from_file(files, spec, spec.features)
    if images is None:
        raise DataError(Problem("data.images_path", "is missing", expected="a folder or a zip archive with images"))
    assert isinstance(spec.features, PixelFeaturesSpec)
    return _computed(files, images, spec, spec.features, paths)


def _from_file(files: Sequence[str], spec: CaptionsDataSpec, features: FileFeaturesSpec) -> Seen:
    file, values, known = read_features(features)
    left_out = LeftOut("images", spec.max_malformed)
    rows = np.array([known.get(name, -1) for name in files], np.int64)
    for number in np.flatnonzero(rows < 0).tolist():
        left_out.add(f"'{files[number]}'", f"'{file}' has no features of it")
    left_out.finish(len(files))
    kept = np.flatnonzero(rows >= 0)
    content = {"file": sha256_of(file), "rows": hashlib.sha256(rows[kept].tobytes()).hexdigest()}
    return Seen(values, rows[kept], _digest(content), kept)


def _computed(files: Sequence[str], images: Images, spec: CaptionsDataSpec, features: PixelFeaturesSpec, paths: PathsSpec) -> Seen:
    left_out = LeftOut("images", spec.max_malformed)
    digests: list[bytes] = []
    readable: list[int] = []
    for number, file in enumerate(files):
        try:
            digests.append(digest_of(images.read(file)))
            readable.append(number)
        except ImageFault as error:
            left_out.add(f"'{file}'", str(error))
    store = FeatureStore(cache_folder(paths) / FEATURES_FOLDER, features)
    faults = compute_missing(store, features, digests, lambda number: images.read(files[readable[number]]))
    for number, fault in sorted(faults.items()):
        left_out.add(f"'{files[readable[number]]}'", fault)
    rows = store.rows(digests)
    left_out.count = len(files) - int(np.count_nonzero(rows >= 0))  # of equal broken images one was tried
    left_out.finish(len(files))
    there = np.flatnonzero(rows >= 0)
    if not there.size:
        raise DataError(Problem("data.images_path", "holds no image that can be used"))
    kept = np.array(readable, np.int64)[there]
    content = {"made_of": features.identity(), "images": hashlib.sha256(b"".join(digests[one] for one in there)).hexdigest()}
    return Seen(store.values(), rows[there], _digest(content), kept, store)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
