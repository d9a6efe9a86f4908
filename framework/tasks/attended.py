"""What a model attended to while it wrote a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Attended:
    """One sequence, to be drawn.

    Attributes:
        written: what the model wrote, as people read it.
        read: what it read, as tokens; or the photo that it looked at, ``(height, width, 3) uint8``, whose places are a square grid, row
            by row.
        weights: ``(written, places) float32``, a place for each token read or of the photo.
    """

    written: tuple[str, ...]
    read: tuple[str, ...] | NDArray[np.uint8]
    weights: NDArray[np.float32]
