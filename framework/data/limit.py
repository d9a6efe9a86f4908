"""Epochs cut short: ``trainer.limit_train_batches`` and ``trainer.limit_val_batches``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from framework.data.batches import Batch, Batches
from framework.data.windows import steps_from


def limit(batches: Batches, most: int | None) -> Batches:
    """The same batches, at most the first ``most`` of every epoch; None: all of them."""
    return batches if most is None or most >= batches.steps else _Limited(batches, most)


@dataclass(frozen=True, eq=False)
class _Limited:
    batches: Batches
    steps: int

    @property
    def batch_size(self) -> int:
        return self.batches.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        left = len(steps_from(start, self.steps))
        return islice(self.batches.epoch(epoch, start), left)
