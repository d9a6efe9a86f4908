"""What translating asks of a data kind's processor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from framework.data.processor import Processor
from framework.errors import InputError
from framework.tasks.model import Model


class SentenceProcessor(Processor, Protocol):
    """From raw sentences to the tokens of a source, and from the tokens of a target back to text."""

    @property
    def start_id(self) -> int:
        """Number that a target begins with."""
        ...

    @property
    def end_id(self) -> int:
        """Number that ends a target."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """Number of the target's ``[UNK]``, which is among the banned; None where there is none."""
        ...

    def encode_source(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Raw sentences, ``(rows, longest) int32``: each between a start and an end marker, 0 behind shorter ones."""
        ...

    def source_tokens(self, text: str) -> list[str]:
        """The tokens of a raw sentence as people read them, one for each that :meth:`encode_source` gives but the markers."""
        ...

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        """Each token as people read it."""
        ...

    def decode_target(self, ids: Iterable[int]) -> str:
        """The text of tokens, up to the first end marker."""
        ...

    def clean_target(self, text: str) -> str:
        """A raw sentence of the target as it is before it is numbered."""
        ...


def sentences(model: Model) -> SentenceProcessor:
    """The processor of a model that translates.

    Raises:
        InputError: it is of data that has no sources and targets.
    """
    if not hasattr(model.processor, "encode_source"):
        raise InputError(f"data of kind '{model.experiment.data.kind}' has no sentences to translate; expected parallel_text")
    return cast(SentenceProcessor, model.processor)
