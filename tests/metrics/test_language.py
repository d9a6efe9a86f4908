"""Units of a language model's loss, by values that are known otherwise."""

from __future__ import annotations

import math

import pytest

from framework.metrics.language import LanguageMetrics, bits_per_character, bits_per_token, perplexity


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


def test_all_units_of_one_loss() -> None:
    metrics = LanguageMetrics(math.log(1024), 5.0)
    assert metrics.as_dict() == pytest.approx({"loss": 6.931471805599453, "perplexity": 1024.0, "bits_per_character": 2.0})
    assert str(metrics) == "loss 6.9315 nats a token, perplexity 1024, 2.000 bits a character"


@pytest.mark.parametrize(
    ("loss", "shown"),
    [(1.2345, "3.437"), (4.17, "64.72"), (0.0, "1.000"), (9.3, "10938"), (18.6, "1.196e+08"), (1e9, "inf"), (math.nan, "nan")],
)
def test_perplexity_is_shown_with_the_digits_that_count(loss: float, shown: str) -> None:
    assert f"perplexity {shown}, " in str(LanguageMetrics(loss))
