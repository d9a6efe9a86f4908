"""What training reads: batches by epoch and position, the same on both backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Part(NamedTuple):
    """Which rows of a whole batch a process has.

    Attributes:
        first: number of its first row.
        rows: how many count; none where the batch has fewer rows than there are processes.
        whole: rows of the whole batch.
    """

    first: int
    rows: int
    whole: int


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes:
        inputs: by model input's name, such as ``tokens: (batch, time) int32``.
        targets: ``(batch, time) int32`` or ``(batch,) int32``, or floating-point numbers.
        weights: how much each target counts, float32 in the targets' shape; None: all count alike.
        part: which rows of a whole batch these are; None: it is whole.
    """

    inputs: Mapping[str, NDArray[np.generic]]
    targets: NDArray[np.generic]
    weights: NDArray[np.float32] | None = None
    part: Part | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.targets)

    @property
    def count(self) -> float:
        """Sum of the weights; the number of targets where all count alike."""
        return float(self.targets.size if self.weights is None else self.weights.sum(dtype=np.float64))


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
