"""Scores of translations against all right ones of each, by sacreBLEU: BLEU and chrF, with the signatures that make them comparable.

Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores"; Popović 2015, "chrF: character n-gram F-score for automatic MT
evaluation".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from types import ModuleType
from typing import Any, Literal

from framework.errors import InputError
from framework.metrics.checks import check_references
from framework.metrics.score import Score

References = Sequence[Sequence[str]]
"""For each translation all right ones, at least one; their number may differ."""


def bleu(
    translations: Sequence[str],
    references: References,
    tokenize: Literal["13a", "none"] = "13a",
    lowercase: bool = True,
    max_order: int = 4,
) -> Score:
    """Corpus BLEU, from 0 to 100, with sacreBLEU's signature.

    Args:
        translations: one for each source.
        references: of each source.
        tokenize: ``13a``: as WMT does, for running text; ``none``: text that is tokenized already, its tokens a space apart.
        lowercase: whether letters count alike in both cases.
        max_order: tokens of the longest n-grams that count; BLEU-4 where nothing else is said.

    Raises:
        InputError: there is nothing to score, or sacreBLEU is not installed.
    """
    # Forced: tokenized text is meant where it is given, and needs no warning.
    return _scored(
        _sacrebleu().BLEU(tokenize=tokenize, lowercase=lowercase, force=True, max_ngram_order=max_order), translations, references
    )


def chrf(translations: Sequence[str], references: References, lowercase: bool = True) -> Score:
    """Corpus chrF2, from 0 to 100, with sacreBLEU's signature: F-score of character n-grams up to 6, recall counted twice.

    Args:
        translations: one for each source.
        references: of each source.
        lowercase: whether letters count alike in both cases.

    Raises:
        InputError: there is nothing to score, or sacreBLEU is not installed.
    """
    return _scored(_sacrebleu().CHRF(lowercase=lowercase), translations, references)


def sentence_chrf(translations: Sequence[str], references: References) -> list[float]:
    """chrF2 of each translation by itself, letters alike in both cases: for one sentence, BLEU says too little.

    Args:
        translations: one for each source.
        references: of each source.

    Raises:
        InputError: there is nothing to score, or sacreBLEU is not installed.
    """
    check_references(translations, references, "translation", "source")
    metric = _sacrebleu().CHRF(lowercase=True)
    return [float(metric.sentence_score(one, list(right)).score) for one, right in zip(translations, references, strict=True)]


def _scored(metric: Any, translations: Sequence[str], references: References) -> Score:
    check_references(translations, references, "translation", "source")
    # Streams of references, as sacreBLEU wants them: the n-th of each source, None where a source has fewer.
    streams = [list(stream) for stream in zip_longest(*references)]
    found = metric.corpus_score(list(translations), streams)
    return Score(float(found.score), str(metric.get_signature()))


def _sacrebleu() -> ModuleType:
    try:
        import sacrebleu
    except ImportError as error:
        raise InputError("scores of translations need sacreBLEU, which is not installed: pip install 'gatework[translation]'") from error
    module: ModuleType = sacrebleu
    return module
