"""Translating: from raw sentences, in batches of like lengths, to translations with what the model attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from framework.decoding.batched import by_length
from framework.decoding.hypothesis import Hypothesis
from framework.errors import InputError
from framework.tasks.model import Model
from framework.tasks.writer import Writer
from framework.tasks.writing_processor import SentenceProcessor
from framework.tasks.written import Written

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec

ROWS = 64
"""Sentences that are translated at once, at most."""

PLACES = 8192
"""Tokens of a batch of sources, padding counted, at most: what the model remembers of each takes memory."""


def translate(
    model: Model,
    texts: Sequence[str],
    settings: DecodingSpec,
    seed: int = 0,
    *,
    watch: bool = False,
) -> list[list[Written]]:
    """The best translations of each text, best first.

    A text of which cleaning leaves nothing is translated by nothing.

    Args:
        model: trained.
        texts: raw.
        settings: of the search.
        seed: of draws, where strategy is sample.
        watch: whether translations carry the attention.

    Raises:
        DataError: a text has words that a vocabulary without ``[UNK]`` lacks.
        InputError: the model has no attention, or one that does not look at the source, and a setting asks for it; or its data has no
            sentences.
        UnsupportedArgument: the model cannot be decoded step by step.
    """
    work = _Translating(model, texts, settings, seed, watch)
    return by_length([len(one) for one in work.sources], ROWS, PLACES, work.batch)


def _processor(model: Model) -> SentenceProcessor:
    if not hasattr(model.processor, "encode_source"):
        raise InputError(f"data of kind '{model.experiment.data.kind}' has no sentences to translate; expected parallel_text")
    return cast(SentenceProcessor, model.processor)


class _Translating:
    """Sentences that are translated, batch by batch."""

    def __init__(self, model: Model, texts: Sequence[str], settings: DecodingSpec, seed: int, watch: bool) -> None:
        self._processor = _processor(model)
        self._texts = texts
        self.sources = [self._processor.source_tokens(text) for text in texts]
        self._writer = Writer(model, self._processor, settings, seed, watch)

    def batch(self, numbers: list[int]) -> list[list[Written]]:
        """The translations of some of the sentences."""
        wanted = [number for number in numbers if self.sources[number]]
        found = dict(zip(wanted, self._search(wanted), strict=True)) if wanted else {}
        return [found.get(number) or [self._nothing()] for number in numbers]

    def _search(self, numbers: list[int]) -> list[list[Written]]:
        encoded = self._processor.encode_source([self._texts[number] for number in numbers])
        lengths = np.array([len(self.sources[number]) for number in numbers])
        places = np.arange(encoded.shape[1])
        # The words; what stands for start and end needs no cover.
        counted = (places > 0) & (places <= lengths[:, np.newaxis])
        found = self._writer.search({"source": encoded}, numbers, (2 * lengths + 10).tolist(), counted)
        return [[self._translation(number, one) for one in best] for number, best in zip(numbers, found, strict=True)]

    def _translation(self, number: int, found: Hypothesis) -> Written:
        start, end = self._writer.markers
        source = (start, *self.sources[number], end)
        written = self._writer.written(found, source, len(source))
        return written if self._writer.copied is None else self._with_copies(written, found.tokens.tolist(), number)

    def _with_copies(self, written: Written, ids: list[int], number: int) -> Written:
        """With each unknown word taken from the source."""
        assert written.attention is not None
        tokens = list(written.tokens)
        pieces: list[str] = []
        known: list[int] = []
        for place, token in enumerate(ids):
            if token != self._writer.copied:
                known.append(token)
                continue
            tokens[place] = self.sources[number][int(written.attention[place, 1:-1].argmax())]
            pieces += [self._processor.decode_target(known), tokens[place].strip("\N{LOWER ONE EIGHTH BLOCK}")]
            known = []
        pieces.append(self._processor.decode_target(known))
        return replace(written, text=" ".join(piece for piece in pieces if piece), tokens=tuple(tokens))

    def _nothing(self) -> Written:
        return Written("", (), self._writer.markers, 0.0, 0.0, True, None)
