"""A language model's loss in other units."""

from __future__ import annotations

import math


def perplexity(loss: float) -> float:
    """``exp(loss)`` for a loss in nats a token: the number of equally likely tokens that would give the same loss."""
    return math.exp(loss) if loss < 700.0 else math.inf


def bits_per_token(loss: float) -> float:
    """A loss in nats a token as bits a token."""
    return loss / math.log(2.0)
