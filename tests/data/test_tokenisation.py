from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from framework.data import reading
from framework.data.tokenisation import code_points, whole_words, words

TEXT = st.text(st.one_of(st.characters(), st.sampled_from("ab \n\t'\u2019.Σσ\u0301\x1c\u3000")))


@given(TEXT)
@example("don't  stop\r\n\n\t'tis o'er''x\u2019s")
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_what_a_word_is() -> None:
    tokens = list(words("    ROMEO:\n\nI'll pay 12_3, 'tis o\u2019er!\t\n"))
    assert tokens == [
        "    ",
        "ROMEO",
        ":",
        "\n",
        "\n",
        "I'll",
        " ",
        "pay",
        " ",
        "12_3",
        ",",
        " ",
        "'",
        "tis",
        " ",
        "o\u2019er",
        "!",
        "\t",
        "\n",
    ]


@given(st.lists(TEXT), st.integers(1, 5))
@example(["ΟΔΟΣ", " ΟΔΟΣ"], 1)
@example(["don", "'t do"], 3)
@example(["a ", "  b"], 2)
def test_cuts_between_pieces_change_no_word_and_no_lowered_letter(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    with mock.patch.object(reading, "PIECE", size):
        cut = list(whole_words(pieces))
    assert "".join(cut) == text
    assert [word for piece in cut for word in words(piece)] == list(words(text))
    assert "".join(piece.lower() for piece in cut) == text.lower()


def test_long_texts_with_white_space_are_really_cut() -> None:
    with mock.patch.object(reading, "PIECE", 100):
        assert max(map(len, whole_words(["word " * 1000]))) <= 200


@given(TEXT)
def test_code_points_are_unicode_numbers(text: str) -> None:
    points = code_points(text)
    assert points.dtype == np.uint32
    assert points.tolist() == [ord(character) for character in text]
