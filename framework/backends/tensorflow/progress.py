"""The running mean of an epoch's loss, and the watch for one that is not finite."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.training import Arrays, Position
from framework.errors import TrainingError


class EpochLoss:
    """Adds up the losses of an epoch's batches, each weighted by its tokens.

    Reading a loss waits for the device, so the losses of several steps can be left there and read together; the sum is the same to the
    bit.

    Attributes:
        total: sum of loss times tokens, in nats.
        tokens: number of tokens in it.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.tokens = 0
        self._unread: list[tuple[Position, tf.Tensor, int]] = []

    def reset(self) -> None:
        """A new epoch begins."""
        self.total, self.tokens = 0.0, 0
        self._unread.clear()

    def add(self, position: Position, loss: tf.Tensor, tokens: int) -> None:
        """Takes the loss of the step that ended at ``position``, without reading it."""
        self._unread.append((position, loss, tokens))

    def read(self) -> float | None:
        """Reads what was added; gives the last loss, or None when there is nothing new.

        Raises:
            TrainingError: a loss is not finite; the first such step is named.
        """
        loss = None
        while self._unread:
            position, tensor, tokens = self._unread.pop(0)
            loss = float(tensor)
            if not math.isfinite(loss):
                self._unread.clear()
                raise TrainingError(
                    f"the loss is {loss} at step {position.step} (epoch {position.epoch + 1}, batch {position.batch}); "
                    "a lower optimizer.learning_rate or trainer.gradient_clip_val=1.0 may help"
                )
            self.total += loss * tokens
            self.tokens += tokens
        return loss

    @property
    def mean(self) -> float:
        """Mean loss in nats a token; not a number before the first step."""
        return self.total / self.tokens if self.tokens else math.nan

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The sums as arrays, for checkpoints."""
        self.read()
        return {"total": np.array(self.total, np.float64), "tokens": np.array(self.tokens, np.int64)}

    def restore(self, arrays: Arrays) -> None:
        """Takes back what :meth:`arrays` gave."""
        self.reset()
        self.total, self.tokens = float(arrays["total"]), int(arrays["tokens"])
