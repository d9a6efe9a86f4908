from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from framework.data.sentences.cleaning import Cleaning as Cleaner
from framework.spec.cleaning import CLEANINGS, Cleaning


def cleaner(value: object) -> Cleaner:
    return Cleaner.of(TypeAdapter(Cleaning).validate_python(value))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("May I borrow this book?", "may i borrow this book ?"),
        ("¿Puedo tomar prestado este libro?", "¿ puedo tomar prestado este libro ?"),
        ('  It\'s 2:30, "Tom"!  ', "it s , tom !"),
        ("El niño está aquí…", "el nino esta aqui"),
        ("🙂 مرحبا שלום", ""),
        ("a\tb\u00a0c", "a b c"),
    ],
)
def test_the_tutorials_cleaning(raw: str, cleaned: str) -> None:
    assert cleaner("tf_tutorial")(raw) == cleaned


@pytest.mark.parametrize(("raw", "cleaned"), [("It's 2:30!", "its !"), ("¿Todavía están?", "¿ todavia estan ?"), ("ﬁn", "fin")])
def test_the_later_tutorials_cleaning(raw: str, cleaned: str) -> None:
    assert cleaner("tf_tutorial_2021")(raw) == cleaned


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A man's T-shirt costs 1,200.50, he said.", "a man's t-shirt costs 1,200.50 , he said ."),
        ("'Quoted' - and “so”…", "' quoted ' - and “ so ” …"),
        ("Zwei Männer (alt)", "zwei männer ( alt )"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया ।"),
        ("السلام عليكم؟", "السلام عليكم ؟"),
        ("Cafe\u0301 🙂👍", "café 🙂 👍"),
    ],
)
def test_the_cleaning_of_words_leaves_words_and_numbers_whole(raw: str, cleaned: str) -> None:
    assert cleaner("words")(raw) == cleaned


@pytest.mark.parametrize(
    ("steps", "raw", "cleaned"),
    [
        ([], "  A\t b ", "A b"),
        (["strip_accents"], "ñandú Über 한국어", "nandu Uber 한국어"),
        ([{"keep": "a-c-"}], "a-d-cx", "a- -c"),
        ([{"remove": "]^\\[z-"}], "a]^\\[-z", "a"),
        ([{"normalize": "NFKC"}], "\uff46\uff55\uff4c\uff4c ½", "full 1\u20442"),
        ([{"separate_punctuation": "?"}], "a?b.c", "a ? b.c"),
        (["lower", {"keep_and_close_up": "a-z "}], "It's", "its"),
    ],
)
def test_steps(steps: object, raw: str, cleaned: str) -> None:
    assert cleaner(steps)(raw) == cleaned


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("tutorial", "no cleaning is called 'tutorial'"),
        (["lowr"], "there is no step 'lowr'"),
        (["keep"], "the step 'keep' lacks what it is about"),
        ([{"lower": "a"}], "the step 'lower' takes nothing"),
        ([{"keep": "z-a"}], "the range z-a ends before it begins"),
        ([{"keep": ""}], "there are no characters"),
        ([{"normalize": "NFX"}], "no Unicode form is called 'NFX'"),
        ([{"keep": "a", "remove": "b"}], "a step is {'keep': 'a', 'remove': 'b'}"),
        ([3], "a step is 3"),
        (3, "is no cleaning"),
    ],
)
def test_what_is_no_cleaning(value: object, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Cleaning).validate_python(value)
    assert says in raised.value.errors()[0]["msg"]


@given(st.text(), st.sampled_from(sorted(CLEANINGS)))
def test_what_is_cleaned_stays_as_it_is(text: str, name: str) -> None:
    once = cleaner(name)(text)
    assert once == " ".join(once.split())
    if name != "tf_tutorial_2021":  # which closes up what a second time would stand apart
        assert cleaner(name)(once) == once


@given(st.text(alphabet=st.characters(categories=["L", "M", "P", "Zs"])))
def test_accents_are_gone(text: str) -> None:
    assert not any(unicodedata.category(one) == "Mn" for one in unicodedata.normalize("NFD", cleaner(["strip_accents"])(text)))
