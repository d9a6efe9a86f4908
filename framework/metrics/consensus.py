"""CIDEr-D: how much a caption has in common with what most people said of the image, and with what is said of few others.

Source: Vedantam et al. 2015 (arXiv:1411.5726), sections 4 and 6.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from framework.metrics.checks import check_references

_ORDERS = (1, 2, 3, 4)
_SIGMA = 6.0
"""Tokens by which a caption's length may differ without losing much."""
_SCALE = 10.0

_NGram = tuple[str, ...]


@dataclass(frozen=True)
class _Vector:
    """The n-grams of one order in a sentence, weighted by how rare they are."""

    weights: dict[_NGram, float]
    norm: float


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption; the score of all is their mean. 10 is a caption whose n-grams are those of every reference.

    Document frequencies are those of the references given, so that a score depends on the whole set; of a single image it is 0.

    Args:
        captions: one for each image; tokens a space apart.
        references: of each image, likewise.

    Raises:
        InputError: there is nothing to score, or an image has no reference.
    """
    check_references(captions, references, "caption", "image")
    counted = [[_ngrams(one) for one in right] for right in references]
    frequency = Counter(ngram for right in counted for ngram in {ngram for one in right for ngram in one})
    images = math.log(len(references))

    def vectors(ngrams: Counter[_NGram]) -> tuple[list[_Vector], int]:
        weighted = {ngram: count * (images - math.log(max(1, frequency[ngram]))) for ngram, count in ngrams.items()}
        orders = [{ngram: weight for ngram, weight in weighted.items() if len(ngram) == order} for order in _ORDERS]
        found = [_Vector(one, math.sqrt(sum(weight**2 for weight in one.values()))) for one in orders]
        return found, sum(count for ngram, count in ngrams.items() if len(ngram) == 2)

    scores = []
    for caption, right in zip(captions, counted, strict=True):
        ours, length = vectors(_ngrams(caption))
        total = 0.0
        for theirs, other in map(vectors, right):
            penalty = math.exp(-((length - other) ** 2) / (2 * _SIGMA**2))
            total += penalty * sum(map(_likeness, ours, theirs)) / len(_ORDERS)
        scores.append(_SCALE * total / len(right))
    return scores


def _likeness(one: _Vector, other: _Vector) -> float:
    """Cosine of two vectors, the caption's n-grams counting no more often than the reference has them."""
    if not one.norm or not other.norm:
        return 0.0
    shared = sum(min(weight, there) * there for ngram, weight in one.weights.items() if (there := other.weights.get(ngram)))
    return shared / (one.norm * other.norm)


def _ngrams(sentence: str) -> Counter[_NGram]:
    tokens = sentence.split()
    return Counter(tuple(tokens[begin : begin + order]) for order in _ORDERS for begin in range(len(tokens) - order + 1))
