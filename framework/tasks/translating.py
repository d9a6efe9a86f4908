"""Translating: from raw sentences, in batches of like lengths, to translations with what the model attended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.decoding.batched import by_length
from framework.decoding.hypothesis import Hypothesis, Watched
from framework.decoding.search import SearchSettings, search
from framework.errors import InputError
from framework.tasks.model import Model
from framework.tasks.sentences import sentences

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec

ROWS = 64
"""Sentences that are translated at once, at most."""

PLACES = 8192
"""Tokens of a batch of sources, padding counted, at most: what the model remembers of each takes memory."""


@dataclass(frozen=True)
class Translation:
    """One translation.

    Attributes:
        text: as people read it.
        tokens: what the model wrote, as people read it, its end marker included.
        source_tokens: what it read, markers included.
        score: what translations of a sentence are ranked by; see :class:`framework.decoding.hypothesis.Hypothesis`.
        log_probability: in nats.
        finished: False where it was cut at the largest length.
        attention: ``(tokens, source tokens) float32``; None where the model has none or it was not asked for.
    """

    text: str
    tokens: tuple[str, ...]
    source_tokens: tuple[str, ...]
    score: float
    log_probability: float
    finished: bool
    attention: NDArray[np.float32] | None


def translate(
    model: Model,
    texts: Sequence[str],
    settings: DecodingSpec,
    seed: int = 0,
    *,
    watch: bool = False,
) -> list[list[Translation]]:
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
        InputError: the model has no attention, or one that does not look at the source, and a setting asks for it.
        UnsupportedArgument: the model cannot be decoded step by step.
    """
    work = _Translating(model, texts, settings, seed, watch)
    return by_length([len(one) for one in work.sources], ROWS, PLACES, work.batch)


class _Translating:
    """Sentences that are translated, batch by batch."""

    def __init__(self, model: Model, texts: Sequence[str], settings: DecodingSpec, seed: int, watch: bool) -> None:
        self._processor = processor = sentences(model)
        self._stepper = model.stepper
        self._texts, self._spec, self._seed = texts, settings, seed
        self.sources = [processor.source_tokens(text) for text in texts]
        self._copied = processor.unknown_id if settings.replace_unknown else None
        self._watch = watch or self._copied is not None
        banned = tuple(one for one in processor.banned if one != self._copied)
        self._settings = SearchSettings.of(settings, banned)
        self._names = tuple(processor.target_tokens([processor.start_id, processor.end_id]))

    def batch(self, numbers: list[int]) -> list[list[Translation]]:
        """The translations of some of the sentences."""
        wanted = [number for number in numbers if self.sources[number]]
        found = dict(zip(wanted, self._search(wanted), strict=True)) if wanted else {}
        return [found.get(number) or [_nothing(self._names)] for number in numbers]

    def _search(self, numbers: list[int]) -> list[list[Translation]]:
        encoded = self._processor.encode_source([self._texts[number] for number in numbers])
        lengths = np.array([len(self.sources[number]) for number in numbers])
        places = np.arange(encoded.shape[1])
        found = search(
            self._stepper,
            {"source": encoded},
            len(numbers),
            self._processor.start_id,
            self._processor.end_id,
            self._settings,
            max_length=self._spec.max_length or (2 * lengths + 10).tolist(),
            seed=self._seed,
            numbers=numbers,
            # The words; what stands for start and end needs no cover.
            counted=(places > 0) & (places <= lengths[:, np.newaxis]),
            watch=self._watch,
        )
        return [[self._translation(number, one) for one in best] for number, best in zip(numbers, found, strict=True)]

    def _translation(self, number: int, found: Hypothesis) -> Translation:
        start, end = self._names
        source = (start, *self.sources[number], end)
        attention = self._attention(found.watched, len(source))
        ids = found.tokens.tolist()
        tokens = self._processor.target_tokens(ids)
        text = self._processor.decode_target(ids) if self._copied is None else self._with_copies(ids, tokens, attention, number)
        return Translation(text, tuple(tokens), source, found.score, found.log_probability, found.finished, attention)

    def _attention(self, watched: Watched, length: int) -> NDArray[np.float32] | None:
        if not watched:
            if self._copied is not None:
                raise InputError("replace_unknown copies the source word with the most attention, and this model has no attention")
            return None
        # Of several, that nearest to the output.
        *_, (name, attention) = watched.items()
        if attention.shape[1] < length:
            raise InputError(f"the attention of layer '{name}' looks at {attention.shape[1]} places, not at the source's {length} tokens")
        return attention[:, :length]

    def _with_copies(self, ids: list[int], tokens: list[str], attention: NDArray[np.float32] | None, number: int) -> str:
        """The text, each unknown word of it taken from the source; ``tokens`` are changed likewise."""
        assert attention is not None
        pieces: list[str] = []
        known: list[int] = []
        for place, token in enumerate(ids):
            if token != self._copied:
                known.append(token)
                continue
            tokens[place] = self.sources[number][int(attention[place, 1:-1].argmax())]
            pieces += [self._processor.decode_target(known), tokens[place].strip("\N{LOWER ONE EIGHTH BLOCK}")]
            known = []
        pieces.append(self._processor.decode_target(known))
        return " ".join(piece for piece in pieces if piece)


def _nothing(names: tuple[str, ...]) -> Translation:
    return Translation("", (), names, 0.0, 0.0, True, None)
