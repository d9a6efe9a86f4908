"""A text as token numbers, wherever they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from framework.data.reading import PIECE
from framework.data.stream import Tokens
from framework.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class NumberedText:
    """A text by its tokens.

    Attributes:
        vocabulary: of the tokens.
        tokens: ``(tokens,)``, read-only, in memory or mapped into it.
    """

    vocabulary: Vocabulary
    tokens: Tokens

    @property
    def characters(self) -> int:
        """Of all tokens; ``[UNK]`` counts as one character: what it stands for is not known any more."""
        if self.vocabulary.level == "character":
            return int(self.tokens.size)
        numbers = enumerate(self.vocabulary.tokens)
        lengths = np.array([1 if number == self.vocabulary.unknown_id else len(token) for number, token in numbers])
        return sum(int(lengths[self.tokens[start : start + PIECE]].sum()) for start in range(0, self.tokens.size, PIECE))

    def digest(self, head: bytes) -> str:
        """SHA-256 of ``head`` and the tokens, 64 hexadecimal digits."""
        digest = hashlib.sha256(head)
        # The type follows from the number of different tokens, so the same text gives the same bytes.
        digest.update(np.ascontiguousarray(self.tokens, self.tokens.dtype.newbyteorder("<")).data)
        return digest.hexdigest()
