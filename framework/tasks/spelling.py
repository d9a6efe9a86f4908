"""How the tokens that a model writes become text, for programs that decode with an exported model and have nothing of Gatework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spelling:
    """What decoding needs beside the model.

    Attributes:
        tokens: what each token adds to the text, by number; nothing for markers.
        first: the tokens that decoding begins with.
        end: the token that ends a sequence; None where none does.
        never: tokens that are never written.
        steps: how many steps an example makes.
    """

    tokens: Sequence[str]
    first: Sequence[int]
    end: int | None
    never: Sequence[int]
    steps: int
