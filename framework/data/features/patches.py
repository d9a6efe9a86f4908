"""The image's own pixels as features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.spec.features import PatchesSpec


class Patches:
    """Square patches, row by row, each with its pixels from 0 to 1 and perhaps with where it lies.

    Args:
        spec: the settings.
    """

    def __init__(self, spec: PatchesSpec) -> None:
        self._size = spec.patch_size
        self._positions = _positions(spec) * np.float32(spec.position_scale)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(batch, size, size, 3) uint8`` to ``(batch, places, width) float32``."""
        batch, side = len(images), images.shape[1] // self._size
        cut = images.reshape(batch, side, self._size, side, self._size, 3).transpose(0, 1, 3, 2, 4, 5)
        found = cut.reshape(batch, side * side, -1).astype(np.float32) / 255
        return np.concatenate([found, np.broadcast_to(self._positions, (batch, *self._positions.shape))], axis=2)


def _positions(spec: PatchesSpec) -> NDArray[np.float32]:
    """``(places, numbers)``."""
    side = spec.image_size // spec.patch_size
    row, column = np.divmod(np.arange(side * side), side)
    if spec.positions == "none":
        return np.zeros((side * side, 0), np.float32)
    if spec.positions == "one_hot":
        one = np.eye(side, dtype=np.float32)
        return np.concatenate([one[column], one[row]], axis=1)
    middle = max(side - 1, 1) / 2
    return np.stack([column, row], axis=1).astype(np.float32) / np.float32(middle) - (1 if side > 1 else 0)
