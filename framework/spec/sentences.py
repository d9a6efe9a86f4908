"""From sentences to tokens, whatever they are sentences of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.spec.base import Spec
from framework.spec.problems import ProblemCollector, render

SPECIAL_TOKENS = 4
"""Tokens that a vocabulary may have beside its words: for padding, the start, the end, and ``[UNK]``."""


class VocabularySpec(Spec):
    """From sentences to tokens: number 0 pads, 1 begins and 2 ends a sentence, 3 is ``[UNK]`` where there is one."""

    kind: Literal["word", "subword"] = "word"
    """word: what stands between white space, by frequency; subword: pieces of words, found by SentencePiece."""

    max_size: int | None = Field(None, gt=SPECIAL_TOKENS)
    """Tokens at most, the special ones counted: the most frequent. Subwords need it."""

    min_count: int = Field(1, ge=1)
    """How often a word must be there to be in the vocabulary."""

    unknown: Literal["error", "replace"] = "replace"
    """What a word outside the vocabulary does: an error that names it, or ``[UNK]``."""

    fit_on: Literal["train", "all"] = "train"
    """train: made of the sentences to train on; all: of the held-out ones too, as the tutorial does."""

    method: Literal["unigram", "bpe"] = "unigram"
    """How subwords are found."""

    character_coverage: float = Field(1.0, ge=0.9, le=1.0)
    """Share of the characters that subwords cover; 0.9995 for scripts of many characters."""


def check_vocabulary(vocabulary: VocabularySpec, held_out: bool, collector: ProblemCollector) -> None:
    """Rules between the settings.

    Args:
        vocabulary: of ``data.vocabulary``.
        held_out: whether there are sentences beside those to train on.
        collector: is told what is wrong.
    """
    key = "data.vocabulary"
    if vocabulary.kind == "subword":
        if vocabulary.max_size is None:
            collector.add(f"{key}.max_size", "is missing", expected="how many subwords there are to be, such as 8000")
        if vocabulary.min_count > 1:
            collector.add(f"{key}.min_count", "counts words, not subwords", value=render(vocabulary.min_count), expected="1")
        if vocabulary.unknown == "error":
            collector.add(f"{key}.unknown", "subwords always have an [UNK]", value="error", expected="replace")
        return
    hint = "set data.vocabulary.unknown=replace"
    if vocabulary.unknown == "error" and (vocabulary.max_size is not None or vocabulary.min_count > 1):
        name, value = ("max_size", vocabulary.max_size) if vocabulary.max_size is not None else ("min_count", vocabulary.min_count)
        collector.add(f"{key}.{name}", "words left out of the vocabulary have nowhere to go", value=render(value), hint=hint)
    if vocabulary.unknown == "error" and vocabulary.fit_on == "train" and held_out:
        message = "held-out words that the training lacks have nowhere to go"
        collector.add(f"{key}.fit_on", message, value="train", hint=f"{hint}, or data.vocabulary.fit_on=all")
