"""Units of a language model's loss, by values that are known otherwise."""

from __future__ import annotations

import math

import pytest

from framework.metrics.language import bits_per_character, bits_per_token, perplexity


def test_a_uniform_guess_among_65_characters() -> None:
    loss = math.log(65)
    assert perplexity(loss) == pytest.approx(65, rel=1e-14)
    assert bits_per_token(loss) == pytest.approx(math.log2(65), rel=1e-14)
    assert bits_per_character(loss) == bits_per_token(loss)


def test_certainty_and_hopelessness() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(1e6) == math.inf
    assert math.isnan(perplexity(math.nan))


def test_a_word_model_by_its_characters() -> None:
    # A perplexity of 1024 a word of 5 characters: 10 bits a word, 2 bits a character.
    assert bits_per_character(math.log(1024), 5.0) == pytest.approx(2.0, rel=1e-14)
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"characters_per_token is {wrong}; expected a number above 0"):
            bits_per_character(1.0, wrong)
