"""Which pairs are held out: drawn by a seed, equal ones together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = np.ndarray[Any, np.dtype[np.uint64]]

PARTS = ("train", "validation", "test")
"""Parts of the data by number."""

_CHUNK = 1 << 20


def draw_parts(keys: Keys, seed: int, validation_fraction: float, test_fraction: float) -> NDArray[np.uint8]:
    """The part of each pair; pairs with the same key are in the same part.

    Each key is given a number that looks random and depends on nothing but the key and the seed. The pairs with the smallest
    numbers are for the test, the next ones for validation, as many as the fractions say, or a few more where several have the
    last key. So a pair's number does not change when others are added to the data.

    Args:
        keys: ``(pairs,) uint64``, such as a hash of the sentence by which they are held together.
        seed: another one draws other parts.
        validation_fraction: share of the pairs for validation.
        test_fraction: share of the pairs for the test.

    Returns:
        ``(pairs,) uint8``, numbers of :data:`PARTS`.
    """
    parts = np.zeros(len(keys), np.uint8)
    wanted = np.rint(np.cumsum([test_fraction, validation_fraction]) * len(keys)).astype(int)
    if not wanted[-1]:
        return parts
    mixed = np.empty(len(keys), np.uint64)
    for start, chunk in zip(range(0, len(keys), _CHUNK), _chunks(keys), strict=True):
        mixed[start : start + _CHUNK] = _mixed(chunk, seed)
    places = np.maximum(wanted - 1, 0)
    mixed.partition(places)
    limits = mixed[places]
    del mixed
    for start, chunk in zip(range(0, len(keys), _CHUNK), _chunks(keys), strict=True):
        numbers, part = _mixed(chunk, seed), parts[start : start + _CHUNK]
        for number, count, limit in ((1, wanted[1], limits[1]), (2, wanted[0], limits[0])):
            if count:
                part[numbers <= limit] = number
    return parts


def _chunks(keys: Keys) -> Iterator[Keys]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def joined(source: Keys, target: Keys) -> Keys:
    """One key of two; which is which counts."""
    return _mixed(source, 0) ^ _mixed(target, 1)


def _mixed(keys: Keys, seed: int) -> Keys:
    """Source: S. Vigna, splitmix64, public domain."""
    with np.errstate(over="ignore"):
        value = keys + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
