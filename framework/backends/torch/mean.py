"""The mean loss of an evaluation."""

from __future__ import annotations

from torch import Tensor


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
