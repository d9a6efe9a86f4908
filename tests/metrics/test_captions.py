"""Scores of captions, held against what pycocoevalcap 1.2, the COCO caption evaluation's own code, gives for these texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import InputError
from framework.metrics.consensus import cider_d
from framework.metrics.subsequence import rouge_l
from framework.metrics.translation import bleu

CAPTIONS = [
    "a man rides a wave on a surfboard",
    "two dogs play with a ball in the grass",
    "the the the the",
    "a child",
    "a woman in a red coat walks down a snowy street with a dog",
    "",
]
REFERENCES = [
    ["a man riding a wave on top of a surfboard", "a surfer rides a large wave in the ocean", "a person on a surfboard in the water"],
    ["two dogs are playing with a ball", "two brown dogs run through the grass after a ball"],
    ["the cat sat on the mat", "there is a cat on the mat"],
    ["a child in a blue shirt plays on a swing"],
    [
        "a woman walks her dog on a snowy street",
        "a lady in a red coat walks down the street with her dog",
        "a woman in a coat and a dog in the snow",
    ],
    ["a train stands in a station"],
]
CIDER_D = [2.0552856344464714, 2.5232652024055984, 0.17910152561215498, 0.8354177798930134, 2.9661741926257457, 0.0]
ROUGE_L = [0.7624999999999998, 0.639412997903564, 0.3860759493670886, 0.2975609756097561, 0.7457212713936432, 0.0]
BLEU = [0.5612356308339623, 0.5003886601927078, 0.39187664235352215, 0.28707430213569435]

words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9).map(" ".join)
rights = st.lists(words.filter(bool), min_size=1, max_size=3)


def test_cider_d_is_that_of_the_coco_evaluation() -> None:
    assert cider_d(CAPTIONS, REFERENCES) == pytest.approx(CIDER_D, rel=1e-12)


def test_rouge_l_is_that_of_the_coco_evaluation() -> None:
    assert rouge_l(CAPTIONS, REFERENCES) == pytest.approx(ROUGE_L, rel=1e-12)


def test_bleu_of_every_order_is_that_of_the_coco_evaluation() -> None:
    found = [bleu(CAPTIONS, REFERENCES, "none", max_order=order).value / 100 for order in (1, 2, 3, 4)]
    assert found == pytest.approx(BLEU, rel=1e-8)


@given(st.lists(st.tuples(words, rights), min_size=1, max_size=4))
def test_scores_lie_between_nothing_and_a_caption_that_all_references_are(pairs: list[tuple[str, list[str]]]) -> None:
    captions, references = [one for one, _ in pairs], [right for _, right in pairs]
    assert all(0 <= score <= 10 + 1e-9 for score in cider_d(captions, references))
    assert all(0 <= score <= 1 for score in rouge_l(captions, references))
    assert rouge_l([right[0] for right in references], references) == pytest.approx([1.0] * len(references))


def test_what_everybody_says_of_every_image_counts_for_nothing() -> None:
    assert cider_d(["a b c d e", "a b c d e"], [["a b c d e"], ["a b c d e"]]) == [0.0, 0.0]
    found = cider_d(["a b c d e", "f g h i j"], [["a b c d e"], ["f g h i j"]])
    assert found == pytest.approx([10.0, 10.0])
    shorter = cider_d(["a b c d", "f g h i j"], [["a b c d e"], ["f g h i j"]])[0]
    cosines = [4 / math.sqrt(4 * 5), 3 / math.sqrt(3 * 4), 2 / math.sqrt(2 * 3), 1 / math.sqrt(1 * 2)]
    assert shorter == pytest.approx(10 * math.exp(-1 / 72) * sum(cosines) / 4)


@pytest.mark.parametrize("score", [cider_d, rouge_l])
def test_nothing_to_score(score) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="there are no captions to score"):
        score([], [])
    with pytest.raises(InputError, match="there are 1 captions and references of 2 images; expected as many"):
        score(["a"], [["a"], ["b"]])
    with pytest.raises(InputError, match="image 2 has no reference; expected at least one right caption"):
        score(["a", "b"], [["a"], []])
