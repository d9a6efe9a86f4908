"""Features of images, computed where the store has none yet: batch by batch, so that a kill costs one batch at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from numpy.typing import NDArray

from framework.data.features.apart import ApartExtractor
from framework.data.features.extractor import EXTRACTORS, Extractor
from framework.data.features.store import FeatureStore, digest_of
from framework.data.images.decode import ImageFault, pixels
from framework.data.watched import tell
from framework.spec.features import PixelFeaturesSpec

Read = Callable[[int], bytes]
"""The file of an image by its number; may raise :class:`ImageFault`."""


@contextmanager
def extractor_of(spec: PixelFeaturesSpec) -> Iterator[Extractor]:
    """What computes features of a kind, in this process or in one of its own, which ends with the block.

    Raises:
        InputError: what it needs is not installed, or its weights cannot be had.
    """
    kind = EXTRACTORS.named(spec.kind)
    if not kind.apart:
        yield kind.make(spec)
        return
    with ApartExtractor(spec) as extractor:
        yield extractor


def compute_missing(store: FeatureStore, spec: PixelFeaturesSpec, digests: Sequence[bytes], read: Read) -> dict[int, str]:
    """Computes the features that a store lacks.

    Batches are cut from the images' own order, so that those that were computed before a kill are the same as without one. Where
    another process is at it, its end is waited for.

    Args:
        store: to add to.
        spec: kind of the features.
        digests: of all images.
        read: gives an image's file.

    Returns:
        Why images have no features, by number.

    Raises:
        InputError: they cannot be computed at all.
    """
    faults: dict[int, str] = {}
    if np.all(store.rows(digests) >= 0):
        return faults
    with store.writing(), ExitStack() as stack:
        extract: Extractor | None = None
        made = f"{spec.kind} features"
        tell(0, len(digests), made, "images")
        for start in range(0, len(digests), spec.batch_size):
            numbers = range(start, min(start + spec.batch_size, len(digests)))
            missing = _missing(store, digests, numbers)
            decoded = _decoded(missing, digests, read, spec.image_size, faults)
            if decoded:
                extract = extract or stack.enter_context(extractor_of(spec))
                store.append([digests[number] for number in decoded], extract(np.stack(list(decoded.values()))))
            tell(numbers[-1] + 1, len(digests), made, "images")
    return faults


def _missing(store: FeatureStore, digests: Sequence[bytes], numbers: range) -> list[int]:
    """Images without features, of equal ones the first."""
    rows = store.rows([digests[number] for number in numbers])
    first = {digests[number]: number for number, row in reversed(list(zip(numbers, rows, strict=True))) if row < 0}
    return sorted(first.values())


def _decoded(
    numbers: Sequence[int], digests: Sequence[bytes], read: Read, size: int, faults: dict[int, str]
) -> dict[int, NDArray[np.uint8]]:
    found: dict[int, NDArray[np.uint8]] = {}
    for number in numbers:
        try:
            content = read(number)
            if digest_of(content) != digests[number]:
                raise ImageFault("it has changed while features were computed")
            found[number] = pixels(content, size)
        except ImageFault as error:
            faults[number] = str(error)
    return found
