"""Vocabularies, made of cleaned sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from framework.data.parallel.processor import PairsProcessor
from framework.data.sentences.cleaning import Cleaning
from framework.data.sentences.fit import fit_vocabulary
from framework.data.sentences.side import Side
from framework.spec.parallel_text import ParallelTextDataSpec

Cleaned = Callable[[], Iterable[tuple[str, str]]]
"""Gives the cleaned pairs to make vocabularies of, as often as it is called."""


def fit(cleaned: Cleaned, pairs: int, cleanings: tuple[Cleaning, Cleaning], spec: ParallelTextDataSpec) -> PairsProcessor:
    """The processor of the sentences.

    Args:
        cleaned: gives the pairs.
        pairs: how many.
        cleanings: of source and target.
        spec: what the vocabularies are to be.

    Raises:
        DataError: a vocabulary would be empty, or there are too few different words for so many subwords.
    """
    if spec.vocabulary.shared:
        both = fit_vocabulary(lambda: (sentence for pair in cleaned() for sentence in pair), 2 * pairs, spec.vocabulary)
        vocabularies = (both, both)
    else:
        vocabularies = (
            fit_vocabulary(lambda: (source for source, _ in cleaned()), pairs, spec.vocabulary),
            fit_vocabulary(lambda: (target for _, target in cleaned()), pairs, spec.vocabulary),
        )
    source, target = (Side(cleaning, vocabulary) for cleaning, vocabulary in zip(cleanings, vocabularies, strict=True))
    return PairsProcessor(source, target)


def cleanings_of(spec: ParallelTextDataSpec) -> tuple[Cleaning, Cleaning]:
    """Those of source and target."""
    sides = (spec.source_cleaning, spec.target_cleaning)
    source, target = (Cleaning.of(spec.cleaning if own is None else own) for own in sides)
    return source, target
