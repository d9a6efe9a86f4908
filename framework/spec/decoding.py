"""How a trained model is turned into text."""

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

    strategy: Literal["greedy", "sample", "beam"] = "sample"
    """greedy: the most likely token; sample: one drawn by its probability; beam: the best few sequences are followed side by side,
    for models that read one sequence and write another."""
    temperature: Temperature = 1.0
    """Logits are divided by this before drawing."""
    top_k: int | None = Field(None, gt=0)
    """Draw among the k most likely tokens only."""
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    """Draw among the most likely tokens that together reach this probability."""
    prompt: str | None = Field(None, min_length=1)
    """What samples begin with that are written during training, or without a prompt; null: the first words of the training text."""
    length: int = Field(1000, gt=0)
    """Tokens to generate."""
    sample_length: int = Field(200, gt=0)
    """Tokens of the samples written during training."""
    beam_width: int = Field(5, gt=0)
    """Sequences that a beam search follows; with strategy beam."""
    n_best: int = Field(1, gt=0)
    """Sequences given for each input, best first; more than one with strategy beam alone, and beam_width at most."""
    length_penalty: float = Field(0.6, ge=0.0)
    """What sequences of different lengths are compared by, the α of Wu et al. 2016: 0: their log-probability alone, which favours
    short ones; 1: nearly its mean over the tokens."""
    coverage_penalty: float = Field(0.0, ge=0.0)
    """How much sequences lose that leave parts of the input without attention, the β of Wu et al. 2016."""
    max_length: int | None = Field(None, gt=0)
    """Tokens of a sequence at most, the end token counted; null: twice as many as the input has, and ten more."""
    replace_unknown: bool = False
    """Whether an unknown word is written as the source word that got the most attention; false: unknown words are never written."""
