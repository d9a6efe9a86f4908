"""What every processor offers whose model writes sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from framework.data.sentences.side import Side
from framework.data.sentences.tokens import END, PAD, START


class WritesSentences:
    """A processor with a side ``target`` that is written."""

    target: Side

    @property
    def start_id(self) -> int:
        """Number that a sentence begins with."""
        return START

    @property
    def end_id(self) -> int:
        """Number that ends a sentence."""
        return END

    @property
    def unknown_id(self) -> int | None:
        """Number of ``[UNK]``; None where there is none."""
        return self.target.vocabulary.unknown_id

    @property
    def banned(self) -> tuple[int, ...]:
        """Padding, the start marker and ``[UNK]``, which no sentence has."""
        unknown = self.unknown_id
        return (PAD, START) if unknown is None else (PAD, START, unknown)

    def encode_target(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences, ``(rows, longest) int32``; see :meth:`Side.encode`."""
        return self.target.encode(texts)

    def decode_target(self, ids: Iterable[int]) -> str:
        """The sentence that token numbers write; see :meth:`Side.decode`."""
        return self.target.decode(ids)

    def clean_target(self, text: str) -> str:
        """A raw sentence as it is before it is numbered."""
        return self.target.clean(text)

    def target_text(self, number: int) -> str:
        """What a token adds to the text, with the space before it where it has one."""
        return self.target.vocabulary.text_of(number)

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        """Each token as people read it."""
        return [self.target.vocabulary.name(int(number)) for number in ids]
