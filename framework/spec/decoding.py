"""How a trained language model is turned into text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from framework.spec.base import Spec


def _above_zero(value: object) -> object:
    if value == 0 and not isinstance(value, bool):
        details = {"expected": "a number above 0", "suggestion": "strategy=greedy, which always takes the most likely token"}
        raise PydanticCustomError("identifier", "no token can be drawn at temperature 0", details)
    return value


Temperature = Annotated[float, Field(gt=0.0), BeforeValidator(_above_zero)]


class DecodingSpec(Spec):
    """Choice of the next token."""

    strategy: Literal["greedy", "sample"] = "sample"
    """greedy: the most likely token; sample: one drawn by its probability."""
    temperature: Temperature = 1.0
    """Logits are divided by this before drawing."""
    top_k: int | None = Field(None, gt=0)
    """Draw among the k most likely tokens only."""
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    """Draw among the most likely tokens that together reach this probability."""
    prompt: str = Field("\n", min_length=1)
    """What the samples written during training begin with."""
    length: int = Field(1000, gt=0)
    """Tokens to generate."""
    sample_length: int = Field(200, gt=0)
    """Tokens of the samples written during training."""
