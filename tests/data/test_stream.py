from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data import reading, stream
from framework.data.stream import read_tokens
from framework.data.tokenisation import words
from framework.data.vocabulary import UnknownTokens
from framework.errors import DataError
from framework.spec.data import TextDataSpec

PIECES = st.lists(st.text(st.one_of(st.characters(), st.sampled_from("abcAB \n")), max_size=30))


@given(
    pieces=PIECES,
    size=st.integers(1, 9),
    level=st.sampled_from(["character", "word"]),
    lowercase=st.booleans(),
    max_tokens=st.none() | st.integers(2, 40),
    most=st.none() | st.integers(2, 6),
    replace=st.booleans(),
)
def test_tokens_are_those_of_a_plain_loop(
    pieces: list[str], size: int, level: str, lowercase: bool, max_tokens: int | None, most: int | None, replace: bool
) -> None:
    replace = replace or most is not None
    text = "".join(pieces)
    if not text:
        return
    spec = TextDataSpec(
        level=level, lowercase=lowercase, max_tokens=max_tokens, max_vocabulary=most, unknown="replace" if replace else "error"
    )
    with mock.patch.object(reading, "PIECE", size), mock.patch.object(stream, "PIECE", size):
        vocabulary, tokens = read_tokens(pieces, spec)

    text = text.lower() if lowercase else text
    expected = list(text) if level == "character" else list(words(text))
    frequent = sorted(Counter(expected).items(), key=lambda item: (-item[1], item[0]))[:most]
    alphabet = ["[UNK]"] * replace + sorted(token for token, _ in frequent)
    assert list(vocabulary.tokens) == alphabet
    assert tokens.tolist() == [alphabet.index(token) if token in alphabet else 0 for token in expected[:max_tokens]]
    assert not tokens.flags.writeable
    assert (vocabulary.level, vocabulary.lowercase, vocabulary.unknown) == (level, lowercase, replace)


@pytest.mark.parametrize(
    ("different", "replace", "dtype"),
    [(254, True, np.uint8), (255, False, np.uint8), (256, True, np.uint16), (256, False, np.uint16), (70_000, True, np.uint32)],
)
def test_tokens_lie_in_the_smallest_type_that_holds_them(different: int, replace: bool, dtype: type[np.generic]) -> None:
    text = "".join(chr(0x10000 + number) for number in range(different))
    vocabulary, tokens = read_tokens([text[:100], text[100:]], TextDataSpec(unknown="replace" if replace else "error"))
    assert tokens.dtype == dtype
    assert tokens.tolist() == list(range(replace, different + replace))
    assert vocabulary.decode(tokens) == text


def test_max_tokens_leaves_the_vocabulary_of_the_whole_text() -> None:
    vocabulary, tokens = read_tokens(["aaab", "cd"], TextDataSpec(max_tokens=3))
    assert vocabulary.tokens == ("a", "b", "c", "d")
    assert tokens.tolist() == [0, 0, 0]


@pytest.mark.parametrize("pieces", [[], [""], ["", ""]])
def test_an_empty_text_is_an_error(pieces: list[str]) -> None:
    with pytest.raises(DataError, match="the text is empty: there is no token to train on"):
        read_tokens(pieces, TextDataSpec())


def test_a_bounded_vocabulary_needs_the_unknown_token() -> None:
    with pytest.raises(DataError, match=r"data\.max_vocabulary: leaves tokens out, but data\.unknown is 'error'\n.*data\.unknown=replace"):
        read_tokens(["abc"], TextDataSpec(max_vocabulary=2))


@pytest.mark.parametrize("level", ["character", "word"])
def test_the_first_few_tokens_of_a_text_with_many_keep_their_numbers(level: str) -> None:
    """Few tokens are kept, whose numbers among those of the whole text are larger than their count."""
    many = [chr(0x100 + number) for number in reversed(range(600))]
    text = "".join(many) if level == "character" else " ".join(many)
    with mock.patch.object(reading, "PIECE", 10), mock.patch.object(stream, "PIECE", 10):
        vocabulary, tokens = read_tokens([text], TextDataSpec(level=level, max_tokens=6))
    assert vocabulary.decode(tokens) == text[:6]


@given(
    pieces=PIECES,
    level=st.sampled_from(["character", "word"]),
    lowercase=st.booleans(),
    max_tokens=st.none() | st.integers(2, 40),
    most=st.none() | st.integers(2, 6),
)
def test_a_text_read_with_its_own_vocabulary_is_the_same(
    pieces: list[str], level: str, lowercase: bool, max_tokens: int | None, most: int | None
) -> None:
    if not "".join(pieces):
        return
    unknown = "error" if most is None else "replace"
    spec = TextDataSpec(level=level, lowercase=lowercase, max_tokens=max_tokens, max_vocabulary=most, unknown=unknown)
    vocabulary, tokens = read_tokens(pieces, spec)
    again, same = read_tokens(pieces, spec, vocabulary)
    assert again is vocabulary
    assert same.dtype == tokens.dtype
    np.testing.assert_array_equal(same, tokens)


def test_another_text_is_numbered_by_the_vocabulary_that_is_given() -> None:
    vocabulary, _ = read_tokens([("".join(chr(0x100 + number) for number in range(70_000)))], TextDataSpec())
    _, tokens = read_tokens(["\u0105\u0103", chr(0x100 + 69_999)], TextDataSpec(), vocabulary)
    assert tokens.tolist() == [5, 3, 69_999]


def test_tokens_that_a_given_vocabulary_lacks_are_named_or_read_as_unknown() -> None:
    strict, _ = read_tokens(["abc"], TextDataSpec())
    with pytest.raises(UnknownTokens, match="has 2 characters that the vocabulary lacks: 'x', 'y'\n"):
        read_tokens(["axb", "yx"], TextDataSpec(), strict)
    lenient, _ = read_tokens(["abc"], TextDataSpec(unknown="replace"))
    assert read_tokens(["axb"], TextDataSpec(unknown="replace"), lenient)[1].tolist() == [1, 0, 2]
