"""A vocabulary, made of cleaned sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress, count

from framework.data.sentences.side import SentenceVocabulary
from framework.data.sentences.subwords import MOST_SENTENCES, SubwordVocabulary
from framework.data.sentences.words import WordVocabulary, count_words
from framework.errors import DataError, Problem
from framework.spec.sentences import VocabularySpec


def fit_vocabulary(sentences: Callable[[], Iterator[str]], number: int, spec: VocabularySpec) -> SentenceVocabulary:
    """The vocabulary of cleaned sentences.

    Args:
        sentences: gives them.
        number: how many they are.
        spec: what it is to be.

    Raises:
        DataError: it would be empty, or there are too few different words for so many subwords.
    """
    if spec.kind == "subword":
        every = -(-number // MOST_SENTENCES)
        return SubwordVocabulary.of(compress(sentences(), (place % every == 0 for place in count())), spec)
    vocabulary = WordVocabulary.of(count_words(sentences()), spec)
    if not vocabulary.words:
        message = f"not one word is there {spec.min_count:,} times" if spec.min_count > 1 else "there is not one word"
        raise DataError(Problem("data.vocabulary", message, hint="lower data.vocabulary.min_count, or give more text"))
    return vocabulary
