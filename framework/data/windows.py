"""A stream of tokens, cut into windows for a language model: shuffled, or contiguous from batch to batch."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batch
from framework.data.stream import Tokens
from framework.errors import DataError

_DRAWN = 1 << 16
"""Numbers that are drawn together; the same ones however many."""


@dataclass(frozen=True, eq=False)
class ShuffledWindows:
    """Windows of ``sequence_length + 1`` tokens that do not overlap, in a new random order each epoch.

    A window's inputs are all its tokens but the last, its targets all but the first. What is left at the stream's end, less
    than a window, is not read. Nothing but the order, 4 bytes a window, is held in memory: a batch is made when it is asked for.

    The order of an epoch is one permutation of all windows, drawn from ``numpy.random.default_rng((seed, epoch))``; with a
    ``shuffle_buffer``, the one that :func:`buffered_order` draws from the same generator.

    Attributes:
        stream: ``(tokens,)``, any integer type.
        sequence_length: inputs of a window, in tokens.
        batch_size: windows of a batch.
        drop_remainder: leave out a last batch that is not full.
        seed: of the orders; None: the windows' own order, in every epoch.
        shuffle_buffer: windows among which the next one is drawn; None: all that are left.

    Source: TensorFlow tutorial "Text generation with an RNN", section "Create training examples and targets".
    """

    stream: Tokens
    sequence_length: int
    batch_size: int
    drop_remainder: bool
    seed: int | None
    shuffle_buffer: int | None = None
    _orders: dict[int, NDArray[np.integer[Any]]] = field(default_factory=dict, init=False, repr=False)

    @property
    def windows(self) -> int:
        """Whole windows of the stream."""
        return int(self.stream.size) // (self.sequence_length + 1)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return self.windows // self.batch_size if self.drop_remainder else -(-self.windows // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch from position ``start`` on; ``tokens``, targets ``(batch, sequence_length) int32``."""
        length = self.sequence_length + 1
        windows = self.stream[: self.windows * length].reshape(self.windows, length)

        def batch(_: int, numbers: NDArray[np.integer[Any]]) -> Batch:
            rows = windows[numbers]
            return Batch({"tokens": rows[:, :-1].astype(np.int32)}, rows[:, 1:].astype(np.int32))

        return map(batch, steps_from(start, self.steps), self._numbers(epoch, start * self.batch_size))

    def _numbers(self, epoch: int, start: int) -> Iterator[NDArray[np.integer[Any]]]:
        """The windows of each batch, from the window at place ``start`` of the epoch's order on."""
        places = range(start, self.windows, self.batch_size)
        if self.seed is None:
            for place in places:
                yield np.arange(place, min(place + self.batch_size, self.windows))
            return
        if self.shuffle_buffer is None:
            order = self._order(self.seed, epoch)
            for place in places:
                yield order[place : place + self.batch_size]
            return
        drawn = islice(buffered_order(self.windows, self.shuffle_buffer, np.random.default_rng((self.seed, epoch))), start, None)
        while numbers := list(islice(drawn, self.batch_size)):
            yield np.array(numbers)

    def _order(self, seed: int, epoch: int) -> NDArray[np.integer[Any]]:
        """Kept for the latest epoch: an epoch is begun several times, and twenty million windows take more than a second each time."""
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = permutation(self.windows, np.random.default_rng((seed, epoch)))
        return self._orders[epoch]


@dataclass(frozen=True, eq=False)
class ContiguousWindows:
    """Windows that go on from batch to batch: row i of a batch continues row i of the batch before.

    The stream is cut into ``batch_size`` tracks of equal length, one after the other, and a batch takes the next
    ``sequence_length`` tokens of every track. Targets are the stream moved on by one token, over the ends of windows and tracks
    too: of the first ``1 + batch_size · steps · sequence_length`` tokens, each but the first is a target exactly once in an
    epoch. All batches are full. Every epoch has the same batches.

    Attributes:
        stream: ``(tokens,)``, any integer type.
        sequence_length: tokens of a row.
        batch_size: rows of a batch, and tracks.
    """

    stream: Tokens
    sequence_length: int
    batch_size: int

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return max(0, int(self.stream.size) - 1) // (self.batch_size * self.sequence_length)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from position ``start`` on; ``tokens``, targets ``(batch, sequence_length) int32``."""
        track = self.steps * self.sequence_length
        end = self.batch_size * track
        inputs = self.stream[:end].reshape(self.batch_size, track)
        targets = self.stream[1 : end + 1].reshape(self.batch_size, track)

        def batch(step: int) -> Batch:
            window = slice(step * self.sequence_length, (step + 1) * self.sequence_length)
            return Batch({"tokens": inputs[:, window].astype(np.int32)}, targets[:, window].astype(np.int32))

        return map(batch, steps_from(start, self.steps))


def permutation(count: int, generator: np.random.Generator) -> NDArray[np.uint32] | NDArray[np.int64]:
    """The numbers ``0 … count - 1`` as ``generator.permutation(count)`` orders them, in 4 bytes each where they fit."""
    order = np.arange(count, dtype=np.uint32) if count <= 2**32 else np.arange(count, dtype=np.int64)
    generator.shuffle(order)
    return order


def buffered_order(count: int, buffer: int, generator: np.random.Generator) -> Iterator[int]:
    """A shuffle of ``0 … count - 1`` through a buffer, as an input pipeline that reads its data in order has it.

    The buffer is filled with the first numbers. Then one of those in it is drawn, each with the same chance, and the next number
    takes its place, until none is left in the buffer. A number is therefore never drawn more than ``buffer - 1`` places before its
    own; with a buffer for all of them, every order has the same chance. Nothing but the buffer is held in memory.

    Args:
        count: numbers to shuffle.
        buffer: places of the buffer, 1 or more; 1 keeps the order.
        generator: gives the draws, one a number.

    Returns:
        Each number once.

    Source: ``tf.data.Dataset.shuffle(buffer_size)``, as TensorFlow documents it.
    """
    size = min(buffer, count)
    held = array("q", range(size))
    following = size
    for start in range(0, count, _DRAWN):
        left = count - np.arange(start, min(start + _DRAWN, count))
        for slot in generator.integers(np.minimum(size, left)).tolist():
            yield held[slot]
            if following < count:
                held[slot] = following
                following += 1
            else:  # nothing left to read: the last of the buffer fills the gap
                last = held.pop()
                if slot < len(held):
                    held[slot] = last


def steps_from(start: int, steps: int) -> range:
    """Positions of an epoch of ``steps`` batches from ``start`` on.

    Raises:
        DataError: ``start`` lies outside the epoch; ``steps`` itself, just after its end, does not.
    """
    if not 0 <= start <= steps:
        raise DataError(f"an epoch of {steps:,} batches has no position {start:,}; expected 0 to {steps:,}")
    return range(start, steps)
