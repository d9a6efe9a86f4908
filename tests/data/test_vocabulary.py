from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framework.data import vocabulary as module
from framework.data.tokenisation import words
from framework.data.vocabulary import VOCABULARY_FILE, VOCABULARY_VERSION, Vocabulary
from framework.errors import DataError

TEXT = st.text(st.characters(), min_size=1)  # lone surrogates too: a command line can hold them
FLAGS = st.booleans()


@given(TEXT, FLAGS)
def test_characters_are_numbered_in_sorted_order(text: str, unknown: bool) -> None:
    vocabulary = Vocabulary.of(text, unknown=unknown)
    ids = vocabulary.encode(text)
    alphabet = sorted(set(text))
    assert ids.dtype == np.int32
    assert ids.tolist() == [alphabet.index(character) + unknown for character in text]
    assert vocabulary.size == len(alphabet) + unknown
    assert vocabulary.decode(ids) == text


@given(TEXT, FLAGS)
@example(" \r", True)  # white space of one token
@example(" \r", False)
def test_words_come_back(text: str, unknown: bool) -> None:
    vocabulary = Vocabulary.of(words(text), "word", unknown=unknown)
    ids = vocabulary.encode(text)
    alphabet = sorted(set(words(text)))
    assert ids.dtype == np.int32
    assert ids.tolist() == [alphabet.index(word) + unknown for word in words(text)]
    assert vocabulary.decode(ids) == text


@given(TEXT, st.text(st.characters(), max_size=20))
@example("0", "\r\n")
@example("\n", "a\rb")
def test_a_character_that_is_not_there_is_replaced_or_named(text: str, other: str) -> None:
    known, plain = set(text), other
    if "\r" not in known:  # then the text had plain line ends, and those of others become such
        plain = "\n".join(line for part in other.split("\r\n") for line in part.split("\r"))
    replaced = Vocabulary.of(text, unknown=True).encode(other)
    assert [number == 0 for number in replaced] == [character not in known for character in plain]
    if set(plain) <= known:
        assert Vocabulary.of(text).decode(Vocabulary.of(text).encode(other)) == plain
    else:
        with pytest.raises(DataError, match=r"that the vocabulary lacks: "):
            Vocabulary.of(text).encode(other)


def test_long_texts_are_encoded_in_pieces() -> None:
    vocabulary = Vocabulary.of("abc")
    with mock.patch.object(module, "PIECE", 2):
        assert vocabulary.encode("abcab").tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("level", ["character", "word"])
def test_the_empty_text_is_no_token(level: str) -> None:
    vocabulary = Vocabulary.of("ab", level)  # type: ignore[arg-type]
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.encode("").dtype == np.int32
    assert vocabulary.decode([]) == ""


def test_unknown_characters_are_named_once_each_up_to_ten_with_the_way_out() -> None:
    with pytest.raises(DataError) as caught:
        Vocabulary.of("abc ").encode("a€b€c\u200b")
    assert str(caught.value) == (
        "the text has 2 characters that the vocabulary lacks: '€', '\\u200b'\n"
        "    hint: leave them out, or train with data.unknown=replace, which reads them as [UNK]"
    )
    with pytest.raises(DataError, match=r"26 characters that the vocabulary lacks: 'a', .*'j' and 16 more\n"):
        Vocabulary.of("0").encode("abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(DataError, match=r"1 word that the vocabulary lacks: 'dog'"):
        Vocabulary.of(["cat", " "], "word").encode("cat dog")


def test_replaced_tokens_are_read_back_as_unknown() -> None:
    vocabulary = Vocabulary.of("abc", unknown=True)
    assert vocabulary.tokens == ("[UNK]", "a", "b", "c")
    assert vocabulary.unknown_id == 0
    assert Vocabulary.of("abc").unknown_id is None
    assert vocabulary.encode("a\U0010ffffd").tolist() == [1, 0, 0]
    assert vocabulary.decode(vocabulary.encode("axb")) == "a[UNK]b"


def test_case_is_lowered_where_the_vocabulary_is() -> None:
    vocabulary = Vocabulary.of("romeo", lowercase=True)
    assert vocabulary.decode(vocabulary.encode("ROMEO")) == "romeo"


def test_decode_takes_any_whole_numbers() -> None:
    vocabulary = Vocabulary.of("abc")
    for ids in ([2, 0], (2, 0), np.array([2, 0], np.int64), np.array([2, 0], np.uint8)):
        assert vocabulary.decode(ids) == "ca"
    assert vocabulary.decode(1) == "b"
    assert vocabulary.decode(np.int32(1)) == "b"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 3], "no token has the number 3; expected 0 to 2"),
        ([-1], "no token has the number -1"),
        ([0.5], "token numbers are of type float64"),
        ([[0, 1]], r"have the shape \(1, 2\)"),
    ],
)
def test_decode_refuses_what_is_no_token(ids: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary.of("abc").decode(ids)


@pytest.mark.parametrize(
    ("tokens", "level", "unknown", "message"),
    [
        ((), "character", False, "without tokens"),
        (("a", "b", "a"), "character", False, "token 'a' is in the vocabulary twice"),
        (("a", "bc"), "character", False, "token 'bc' is not one character"),
        (("a", "b"), "word", True, r"token 0 is 'a'; expected \[UNK\]"),
    ],
)
def test_tokens_that_are_no_vocabulary_are_refused(tokens: tuple[str, ...], level: str, unknown: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary(tokens, level, False, unknown)  # type: ignore[arg-type]


@given(tokens=st.sets(TEXT, min_size=1), lowercase=FLAGS, unknown=FLAGS)
def test_saved_and_loaded_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, tokens: set[str], lowercase: bool, unknown: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / VOCABULARY_FILE
    for vocabulary in (
        Vocabulary.of(tokens - {"[UNK]"} or {"a"}, "word", lowercase, unknown),
        Vocabulary.of("".join(tokens), "character", lowercase, unknown),
    ):
        vocabulary.save(file)
        assert Vocabulary.load(file) == vocabulary
        first = file.read_bytes()
        Vocabulary.load(file).save(file)
        assert file.read_bytes() == first
    assert not file.with_name(VOCABULARY_FILE + ".part").exists()


def content(**changes: object) -> str:
    good = {"vocabulary_version": VOCABULARY_VERSION, "level": "character", "lowercase": False, "unknown": "error", "tokens": ["a", "b"]}
    return json.dumps(good | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "it is no vocabulary of Gatework"),
        ("{}", "it is no vocabulary of Gatework"),
        (content(vocabulary_version=VOCABULARY_VERSION + 1), "its version 2 is newer than this Gatework's, 1: update Gatework"),
        (content(tokens="ab"), "its 'tokens' is no list of texts"),
        (content(tokens=["a", 1]), "its 'tokens' is no list of texts"),
        (content(tokens=["a", "a"]), "token 'a' is in the vocabulary twice"),
        (content(level="byte"), "its 'level' is 'byte'; expected one of 'character', 'word'"),
        (content(lowercase="no"), "its 'lowercase' is 'no'"),
        (content(unknown=None), "its 'unknown' is None; expected one of 'error', 'replace'"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / VOCABULARY_FILE
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        Vocabulary.load(file)
    assert message in str(caught.value) and str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vocabulary '.*vocabulary\.json' cannot be read: No such file"):
        Vocabulary.load(tmp_path / VOCABULARY_FILE)


def test_the_unhurt_content_of_these_tests_loads(tmp_path: Path) -> None:
    (tmp_path / VOCABULARY_FILE).write_text(content())
    assert Vocabulary.load(tmp_path / VOCABULARY_FILE) == Vocabulary.of("ab")


def test_line_ends_are_those_of_the_text_that_was_read() -> None:
    vocabulary = Vocabulary.of("ab\n")
    assert vocabulary.encode("a\r\nb\rb\n").tolist() == vocabulary.encode("a\nb\nb\n").tolist()
    assert Vocabulary.of("ab\r").encode("a\rb").tolist() == [1, 0, 2], "unless the text had others"
    words = Vocabulary.of(["a", "b", "\n"], level="word")
    assert words.encode("a\r\nb").tolist() == words.encode("a\nb").tolist()
