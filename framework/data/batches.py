"""What training reads: batches by epoch and position, the same on both backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes:
        inputs: by model input's name; ``tokens: (batch, time) int32``.
        targets: ``(batch, time) int32``.
        weights: how much each target counts, ``(batch, time) float32``; None: all count alike.
    """

    inputs: Mapping[str, NDArray[np.generic]]
    targets: NDArray[np.generic]
    weights: NDArray[np.float32] | None = None

    @property
    def tokens(self) -> int:
        """Number of targets, in tokens."""
        return int(self.targets.size)


class Batches(Protocol):
    """Batches of one split. The same (seed, epoch, start) always gives the same batches."""

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows of a full batch."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from position ``start`` on, both counted from 0."""
        ...
