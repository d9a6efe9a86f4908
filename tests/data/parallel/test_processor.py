"""What travels with a run: the same sentences, the same numbers, in another process and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data.parallel.processor import PairsProcessor, Side
from framework.data.sentences.cleaning import Cleaning
from framework.data.sentences.subwords import SubwordVocabulary
from framework.data.sentences.tokens import UnknownWords
from framework.data.sentences.words import WordVocabulary, count_words
from framework.errors import DataError
from framework.spec.cleaning import CLEANINGS
from framework.spec.parallel_text import PairVocabularySpec

SENTENCES = [
    "the cat sat on the mat .",
    "the dog ate the cat , and the mat .",
    "a dog sat .",
    "where is the mat ?",
    "the dogs are sitting on mats , says the cat .",
]
WORDS = Cleaning.of(CLEANINGS["words"])


def words(**settings: Any) -> WordVocabulary:
    return WordVocabulary.of(count_words(SENTENCES), PairVocabularySpec(**settings))


def subwords(**settings: Any) -> SubwordVocabulary:
    return SubwordVocabulary.of(SENTENCES, PairVocabularySpec(kind="subword", **{"max_size": 40, **settings}))


def processor_of(vocabulary: WordVocabulary | SubwordVocabulary) -> PairsProcessor:
    return PairsProcessor(Side(WORDS, vocabulary), Side(WORDS, vocabulary))


@pytest.fixture(params=["words", "unigram", "bpe"])
def processor(request: pytest.FixtureRequest) -> PairsProcessor:
    return processor_of(words() if request.param == "words" else subwords(method=request.param))


def test_words_come_by_frequency_and_of_equal_ones_the_first_comes_first() -> None:
    assert words().words[:5] == ("the", ".", "cat", "mat", "sat")
    numbers = words().number(["the cat flies"])
    assert numbers == [[4, 6, 3]] and words().unknown_id == 3
    assert words(unknown="error").number(["the cat"]) == [[3, 5]]


@pytest.mark.parametrize(("settings", "size"), [({"max_size": 6}, 6), ({"min_count": 3}, 8), ({"max_size": 5, "unknown": "error"}, 5)])
def test_a_vocabulary_can_be_capped(settings: dict[str, Any], size: int) -> None:
    vocabulary = words(**settings)
    assert vocabulary.size == size
    assert vocabulary.words[:2] == ("the", ".")


def test_unknown_words_are_named_where_there_is_no_token_for_them() -> None:
    with pytest.raises(UnknownWords, match=r"the vocabulary lacks the words 'birds', 'fly'\n.*data.vocabulary.unknown=replace"):
        processor_of(words(unknown="error")).encode_source(["Birds fly.", "The cat fly."])


def test_what_tokens_add_one_by_one_is_the_text(processor: PairsProcessor) -> None:
    """Programs that decode with an exported model have nothing but these."""
    for sentence in SENTENCES:
        [row] = processor.encode_target([sentence])
        numbers = row[1:-1].tolist()
        assert "".join(processor.target_text(one) for one in numbers).strip() == processor.decode_target(numbers) != ""


def test_rows_stand_between_markers_and_are_padded(processor: PairsProcessor) -> None:
    rows = processor.encode_source(["The cat sat on the mat, and the dogs.", "A dog."])
    assert rows.dtype == np.int32 and (rows[:, 0] == processor.start_id).all()
    for row in rows:
        end = row.tolist().index(processor.end_id)
        assert (row[:end] != 0).all() and (row[end + 1 :] == 0).all()
    assert rows.shape[1] == max(row.tolist().index(processor.end_id) for row in rows) + 1


def test_cleaning_is_that_of_the_training() -> None:
    assert processor_of(words()).clean_target("The DOG , sat. \udc80") == WORDS("The DOG , sat. ?")


@pytest.mark.parametrize("text", ["", "  \t\n", "🙂", "مرحبا بالعالم", "zzz qqq", "\udc80", "word " * 5000])
def test_any_text_can_be_read(processor: PairsProcessor, text: str) -> None:
    [row] = processor.encode_source([text])
    assert row[0] == 1 and row[-1] == 2
    assert isinstance(processor.decode_target(row), str)
    assert len(processor.source_tokens(text)) == row.size - 2


def test_no_text_at_all_gives_no_rows(processor: PairsProcessor) -> None:
    assert processor.encode_source([]).shape == (0, 2)


def test_unknown_words_are_shown_as_they_are_read() -> None:
    processor = processor_of(words())
    [row] = processor.encode_source(["The BIRD sat."])
    assert row.tolist() == [1, 4, 3, 8, 5, 2]
    assert processor.source_tokens("The BIRD sat.") == ["the", "bird", "sat", "."]
    assert processor.decode_target(row) == "the [UNK] sat ."
    assert processor.target_tokens(row) == ["<start>", "the", "[UNK]", "sat", ".", "<end>"]
    assert (processor.banned, processor.unknown_id) == ((0, 1, 3), 3)
    sure = processor_of(words(unknown="error"))
    assert (sure.banned, sure.unknown_id) == ((0, 1), None)


def test_a_translation_ends_at_its_end_marker() -> None:
    processor = processor_of(words())
    assert processor.decode_target([1, 4, 6, 2, 4, 4]) == "the cat"
    assert processor.decode_target(np.array([4, 0, 6])) == "the cat"
    with pytest.raises(DataError, match="no token has the number 4000"):
        processor.decode_target([4000])


def test_words_of_the_text_that_look_like_markers_are_words() -> None:
    vocabulary = WordVocabulary.of(count_words(["<start> <end> [UNK] a"]), PairVocabularySpec())
    assert vocabulary.number(["<start> <end> [UNK] a b"]) == [[4, 5, 6, 7, 3]]


@given(st.lists(st.lists(st.sampled_from(sorted(count_words(SENTENCES))), max_size=8), min_size=1, max_size=4))
def test_what_is_written_in_known_words_is_read_back(sentences: list[list[str]]) -> None:
    texts = [" ".join(sentence) for sentence in sentences]
    for processor in (processor_of(words()), processor_of(words(unknown="error"))):
        assert [processor.decode_target(row) for row in processor.encode_source(texts)] == [
            processor.source.cleaning(text) for text in texts
        ]


_ONE_MODEL = subwords()


@given(st.text(alphabet=sorted({letter for sentence in SENTENCES for letter in sentence}), max_size=30))
def test_what_is_written_in_known_letters_is_read_back_from_subwords(text: str) -> None:
    processor = processor_of(_ONE_MODEL)
    assert processor.decode_target(processor.encode_source([text])[0]) == processor.source.cleaning(text)


def test_subwords_are_the_same_each_time() -> None:
    assert subwords() == subwords() and subwords() != subwords(max_size=28)


def test_too_many_subwords_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"data.vocabulary.max_size: no vocabulary of 9,000 subwords can be made of this text: .*\n.*hint: lower it"
    ):
        subwords(max_size=9000, method="bpe")


def test_it_is_saved_and_read(processor: PairsProcessor, tmp_path: Path) -> None:
    processor.save(tmp_path / "config")
    again = PairsProcessor.load(tmp_path / "config")
    assert again == processor and again.digest == processor.digest
    assert np.array_equal(again.encode_source(SENTENCES), processor.encode_source(SENTENCES))
    assert again.sizes == processor.sizes and set(again.sizes) == {"source", "target"}


def test_other_processors_are_not_equal() -> None:
    one = processor_of(words())
    assert one == processor_of(words())
    assert len({one.digest, processor_of(words(unknown="error")).digest, processor_of(subwords()).digest}) == 3
    assert PairsProcessor(Side(Cleaning.of(["lower"]), words()), one.target) != one
    padded = PairsProcessor(one.source, one.target, 20)
    assert padded != one and padded.digest != one.digest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"processor_version": 2}, "its version 2 is newer|their version 2 is newer than this Gatework's, 1: update Gatework"),
        ({"processor_version": None}, "they are not Gatework's"),
        ({"source": 3}, "their 'source' is no mapping with a vocabulary"),
        ({"source": {"cleaning": ["lowr"], "vocabulary": {"kind": "word", "unknown": True, "words": []}}}, "there is no step 'lowr'"),
        (
            {"source": {"cleaning": [], "vocabulary": {"kind": "word", "unknown": True, "words": ["a", "a"]}}},
            "a word is in the vocabulary twice",
        ),
        ({"source": {"cleaning": [], "vocabulary": {"kind": "word", "unknown": 1, "words": ["a"]}}}, "its words are no list of texts"),
        ({"source_places": 0}, "their source_places is 0; expected a whole number from 1 on"),
        ({"source": {"cleaning": [], "vocabulary": {"kind": "pickle"}}}, "a vocabulary of kind 'pickle'"),
        ({"source": {"cleaning": [], "vocabulary": {"kind": "subword", "sha256": "0"}}}, "subwords-source.model' cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    processor_of(words()).save(tmp_path)
    file = tmp_path / "sentences.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=says):
        PairsProcessor.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no model", b"\xff\xfe\0"])
def test_a_damaged_model_is_refused(content: bytes, tmp_path: Path) -> None:
    processor_of(subwords()).save(tmp_path)
    (tmp_path / "subwords-target.model").write_bytes(content)
    with pytest.raises(DataError, match="cannot be used: "):
        PairsProcessor.load(tmp_path)


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        PairsProcessor.load(tmp_path)
    (tmp_path / "sentences.json").write_text("{")
    with pytest.raises(DataError, match="are no JSON"):
        PairsProcessor.load(tmp_path)
