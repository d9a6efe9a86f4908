"""Vocabularies, made of cleaned sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import compress, count

from framework.data.parallel.cleaning import Cleaning
from framework.data.parallel.processor import PairsProcessor, SentenceVocabulary, Side
from framework.data.parallel.subwords import MOST_SENTENCES, SubwordVocabulary
from framework.data.parallel.words import WordVocabulary, count_words
from framework.errors import DataError, Problem
from framework.spec.parallel_text import PairVocabularySpec, ParallelTextDataSpec

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
        both = _vocabulary(lambda: (sentence for pair in cleaned() for sentence in pair), 2 * pairs, spec.vocabulary)
        vocabularies = (both, both)
    else:
        vocabularies = (
            _vocabulary(lambda: (source for source, _ in cleaned()), pairs, spec.vocabulary),
            _vocabulary(lambda: (target for _, target in cleaned()), pairs, spec.vocabulary),
        )
    source, target = (Side(cleaning, vocabulary) for cleaning, vocabulary in zip(cleanings, vocabularies, strict=True))
    return PairsProcessor(source, target)


def cleanings_of(spec: ParallelTextDataSpec) -> tuple[Cleaning, Cleaning]:
    """Those of source and target."""
    sides = (spec.source_cleaning, spec.target_cleaning)
    source, target = (Cleaning.of(spec.cleaning if own is None else own) for own in sides)
    return source, target


def _vocabulary(sentences: Callable[[], Iterator[str]], number: int, spec: PairVocabularySpec) -> SentenceVocabulary:
    if spec.kind == "subword":
        every = -(-number // MOST_SENTENCES)
        return SubwordVocabulary.of(compress(sentences(), (place % every == 0 for place in count())), spec)
    vocabulary = WordVocabulary.of(count_words(sentences()), spec)
    if not vocabulary.words:
        message = f"not one word is there {spec.min_count:,} times" if spec.min_count > 1 else "there is not one word"
        raise DataError(Problem("data.vocabulary", message, hint="lower data.vocabulary.min_count, or give more text"))
    return vocabulary
