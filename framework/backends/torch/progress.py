"""How far a training has come, and the running means of its epoch."""

from __future__ import annotations

from torch import Tensor

from framework.backends.base.training import Position


class Mean:
    """A running mean of losses, weighted by their tokens and kept on the device, so that adding does not wait for it."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.tokens = 0

    def add(self, loss: Tensor, tokens: int) -> None:
        """Adds one batch: its mean, in nats a token, and its number of targets."""
        weighted = loss.detach().double() * tokens
        self.total = weighted if self.total is None else self.total + weighted
        self.tokens += tokens

    def value(self) -> float:
        """The mean so far, in nats a token; not a number before the first batch."""
        return float(self.total) / self.tokens if self.total is not None and self.tokens else float("nan")


class Progress:
    """Where a training stands.

    Attributes:
        epoch: whole epochs done.
        batch: batches done in the epoch after them.
        step: optimizer steps done since the start.
        mean: loss of that epoch so far.
        seconds: duration of that epoch's steps so far.
    """

    def __init__(self) -> None:
        self.epoch = self.batch = self.step = 0
        self.mean = Mean()
        self.seconds = 0.0

    @property
    def position(self) -> Position:
        """The same, as events tell it."""
        return Position(self.epoch, self.batch, self.step)

    def start_at(self, position: Position) -> None:
        """Goes to a position; running means are kept only where they belong to it, within its epoch."""
        if position.batch == 0:
            self.start_epoch()
        self.epoch, self.batch, self.step = position.epoch, position.batch, position.step

    def start_epoch(self) -> None:
        """Forgets what belongs to one epoch."""
        self.batch, self.mean, self.seconds = 0, Mean(), 0.0

    def step_done(self, loss: Tensor, tokens: int) -> None:
        """Counts one optimizer step."""
        self.batch += 1
        self.step += 1
        self.mean.add(loss, tokens)

    def epoch_done(self) -> None:
        """Goes to the start of the next epoch; its predecessor's means stay to be read until it starts."""
        self.epoch += 1
        self.batch = 0
