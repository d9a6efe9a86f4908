"""From the pipeline's NumPy batches to tensors, without copying them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from framework.backends.torch.arrays import as_tensor
from framework.backends.torch.module import NativeBatch
from framework.data.batches import Batch, Batches


class BatchLoader:
    """What a Lightning Trainer iterates over once an epoch: batches from the position that training has come to.

    Args:
        batches: of one split.
        position: gives the epoch, and the batches of it that are done already; asked at the start of every epoch.
        device: where the tensors go; a Trainer moves them itself.
    """

    def __init__(
        self,
        batches: Batches,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
        device: torch.device | None = None,
    ) -> None:
        self.batches = batches
        self.position = position
        self.device = device

    @property
    def steps(self) -> int:
        """Batches of a whole epoch."""
        return self.batches.steps

    # No __len__: an epoch that is gone on with is shorter than those after it, and Lightning asks for the length once.
    def __iter__(self) -> Iterator[NativeBatch]:
        epoch, start = self.position()
        for batch in self.batches.epoch(epoch, start):
            yield as_tensors(batch, self.device)


def as_tensors(batch: Batch, device: torch.device | None = None) -> NativeBatch:
    """``(inputs by name, targets, weights or None)``, and what part of a whole batch it is; on the CPU they share the arrays' memory."""
    inputs = {name: as_tensor(array, device) for name, array in batch.inputs.items()}
    weights = None if batch.weights is None else as_tensor(batch.weights, device)
    whole = inputs, as_tensor(batch.targets, device), weights
    return whole if batch.part is None else (*whole, batch.part)
