"""ROUGE-L: how much of a caption stands, in the same order, in a reference.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3; β and the best of several references as the
COCO caption evaluation has them (Chen et al. 2015, arXiv:1504.00325, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from framework.metrics.checks import check_references

_BETA = 1.2
"""How much more recall counts than precision."""


def rouge_l(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """ROUGE-L of each caption, from 0 to 1; the score of all is their mean.

    Args:
        captions: one for each image; tokens a space apart.
        references: of each image, likewise.

    Raises:
        InputError: there is nothing to score, or an image has no reference.
    """
    check_references(captions, references, "caption", "image")
    return [_best(caption.split(), [one.split() for one in right]) for caption, right in zip(captions, references, strict=True)]


def _best(caption: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    common = [(_longest_common(caption, one), len(one)) for one in references]
    precision = max(length / len(caption) for length, _ in common) if caption else 0.0
    recall = max(length / tokens if tokens else 0.0 for length, tokens in common)
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Tokens of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for token in one:
        before = 0
        for place, there in enumerate(other, 1):
            before, row[place] = row[place], before + 1 if token == there else max(row[place], row[place - 1])
    return row[-1]
