"""A language model's loss in its units: nats and bits a token, perplexity, bits a character."""

from __future__ import annotations

import math


def perplexity(loss: float) -> float:
    """How many equally likely tokens would be as hard to guess: ``exp(loss)``.

    Args:
        loss: mean negative log-likelihood, in nats a token.

    Returns:
        Perplexity in tokens; infinite where it is beyond float64.

    Source: Jurafsky and Martin, "Speech and Language Processing", 3rd edition, section 3.3.
    """
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_token(loss: float) -> float:
    """A loss in nats a token, in bits a token."""
    return loss / math.log(2)


def bits_per_character(loss: float, characters_per_token: float = 1.0) -> float:
    """A loss in nats a token, in bits a character.

    Args:
        loss: mean negative log-likelihood, in nats a token.
        characters_per_token: characters of the text divided by its tokens; 1 for a character model. For a word model this makes its
            loss comparable with a character model's on the same text.

    Raises:
        ValueError: ``characters_per_token`` is not above 0.
    """
    if not characters_per_token > 0:
        raise ValueError(f"characters_per_token is {characters_per_token}; expected a number above 0")
    return bits_per_token(loss) / characters_per_token
