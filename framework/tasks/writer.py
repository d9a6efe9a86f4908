"""Writes sequences with a trained model: a search for inputs that are encoded already, and its hypotheses as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.decoding.hypothesis import Hypothesis
from framework.decoding.search import SearchSettings, search
from framework.errors import InputError
from framework.tasks.model import Model
from framework.tasks.writing_processor import WritingProcessor
from framework.tasks.written import Written

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec


class Writer:
    """Writes batch by batch.

    Args:
        model: trained.
        processor: the model's.
        settings: of the search.
        seed: of draws, where strategy is sample.
        watch: whether what is written carries the attention.

    Attributes:
        markers: start and end as people read them.
        copied: number of the token that is written for an unknown word, which is then copied from what was read; None where none is.

    Raises:
        UnsupportedArgument: the model cannot be decoded step by step.
    """

    def __init__(self, model: Model, processor: WritingProcessor, settings: DecodingSpec, seed: int, watch: bool) -> None:
        self._processor, self._stepper, self._spec, self._seed = processor, model.stepper, settings, seed
        self.copied = processor.unknown_id if settings.replace_unknown else None
        self._watch = watch or self.copied is not None
        self._settings = SearchSettings.of(settings, tuple(one for one in processor.banned if one != self.copied))
        start, end = processor.target_tokens([processor.start_id, processor.end_id])
        self.markers = (start, end)

    def search(
        self,
        inputs: Mapping[str, NDArray[np.generic]],
        numbers: Sequence[int],
        longest: int | Sequence[int],
        counted: NDArray[np.bool_] | None = None,
    ) -> list[list[Hypothesis]]:
        """The best sequences for each input; see :func:`framework.decoding.search.search`.

        Args:
            inputs: model inputs that are not decoded, each ``(rows, …)``.
            numbers: of the inputs, among all.
            longest: tokens at most, where the settings say nothing.
            counted: ``(rows, places)``, what counts as read.
        """
        return search(
            self._stepper,
            inputs,
            len(numbers),
            self._processor.start_id,
            self._processor.end_id,
            self._settings,
            max_length=self._spec.max_length or longest,
            seed=self._seed,
            numbers=numbers,
            counted=counted,
            watch=self._watch,
        )

    def written(self, found: Hypothesis, read: tuple[str, ...], places: int) -> Written:
        """A hypothesis as people read it.

        Args:
            found: the hypothesis.
            read: the tokens that were read.
            places: that were read, whose attention is kept.

        Raises:
            InputError: the attention does not look at all of these places.
        """
        ids = found.tokens.tolist()
        tokens, text = tuple(self._processor.target_tokens(ids)), self._processor.decode_target(ids)
        return Written(text, tokens, read, found.score, found.log_probability, found.finished, self._attention(found, places))

    def _attention(self, found: Hypothesis, places: int) -> NDArray[np.float32] | None:
        if not found.watched:
            if self.copied is not None:
                raise InputError("replace_unknown copies the source word with the most attention, and this model has no attention")
            return None
        # Of several, that nearest to the output.
        *_, (name, attention) = found.watched.items()
        if attention.shape[1] < places:
            raise InputError(f"the attention of layer '{name}' looks at {attention.shape[1]} places, not at the {places} that were read")
        return attention[:, :places]
