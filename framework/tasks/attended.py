"""What a model attended to while it wrote one sequence for another."""

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
        read: what it read.
        weights: ``(written, read) float32``.
    """

    written: tuple[str, ...]
    read: tuple[str, ...]
    weights: NDArray[np.float32]
