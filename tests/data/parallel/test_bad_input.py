"""What a newcomer may give in place of pairs of sentences: one clear message each, or a sane result."""

from __future__ import annotations

import gzip
import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest

from framework.errors import DataError
from framework.spec.parallel_text import ParallelTextDataSpec
from framework.spec.problems import ProblemCollector

from .conftest import Prepare, numbered
from .test_batches import pairs_of

GOOD = numbered(20)


@pytest.mark.parametrize(
    ("lines", "settings", "says"),
    [
        (
            [*GOOD, "uno"],
            {},
            "pairs.tsv: 1 of 21 lines is no pair: line 21 (1 column)\n    expected: at most 0.01 of the lines\n    hint: mend them",
        ),
        ([*GOOD, "\tone", "uno\t "], {}, "2 of 22 lines are no pairs: line 21 (no sentence to read), line 22 (no translation)"),
        (["uno", "dos"], {}, "2 of 2 lines are no pairs: line 1 (1 column), line 2 (1 column)"),
        (["x"] * 5000, {}, "pairs.tsv: 1,000 lines are no pairs: line 1 (1 column), line 2 (1 column)"),
        (GOOD, {"target_column": 3}, "20 of 20 lines are no pairs: line 1 (2 columns)"),
        ([*GOOD, "1\t2"], {"cleaning": "tf_tutorial"}, "nothing is left of '1' once it is cleaned"),
        ([], {}, "pairs.tsv holds no pair of sentences\n    expected: a sentence and its translation a line"),
        (["", "  ", "\t"], {}, "pairs.tsv holds no pair of sentences"),
        (b"\xef\xbb\xbf", {}, "holds no pair of sentences"),
        ("señor\tsir\n".encode("latin-1") * 9, {}, "is no utf-8 text: the byte at offset 2 is 0xf1: invalid continuation byte"),
        ("a\tb\n".encode("utf-16"), {}, "its first bytes say utf-16: set data.encoding=utf-16"),
        (b"a\tb\nc\0\td\n", {}, "is NUL, as in binary files"),
        (GOOD, {"encoding": "utf-9"}, "data.encoding: unknown encoding 'utf-9'"),
        (GOOD, {"max_length": 1}, "data.max_length: no pair is left to train on that has 1 tokens or fewer on both sides"),
        (GOOD[:1], {"test_fraction": 0.9}, "there are too few pairs, 1, or too few different ones: none is left for the part 'train'"),
        (
            ["a\tb"] * 50,
            {"test_fraction": 0.1},
            "there are too few pairs, 50, or too few different ones: none is left for the part 'train'",
        ),
        (GOOD, {"vocabulary": {"min_count": 1000}}, "data.vocabulary: not one word is there 1,000 times"),
        (
            GOOD,
            {"vocabulary": {"kind": "subword", "max_size": 5, "method": "bpe"}},
            "data.vocabulary.max_size: no vocabulary of 5 subwords",
        ),
    ],
)
def test_one_message(lines: Any, settings: dict[str, Any], says: str, prepare_pairs: Prepare) -> None:
    with pytest.raises(DataError) as raised:
        prepare_pairs(lines, **settings)
    assert says in str(raised.value)


def test_files_that_are_not_what_their_names_say(prepare_pairs: Prepare, tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{line}\n" for line in numbered(2000)).encode())
    (tmp_path / "plain.gz").write_text("uno\tone\n")
    (tmp_path / "cut.gz").write_bytes(whole[:-50])
    (tmp_path / "flipped.gz").write_bytes(whole[:200] + b"\0\0\0\0" + whole[204:])
    (tmp_path / "empty.gz").write_bytes(b"")
    (tmp_path / "plain.zip").write_text("uno\tone\n")
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("spa.txt", "uno\tone\n")
        archive.writestr("about.txt", "terms\n")
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    (tmp_path / "folder" / "b.txt").write_text("b")
    for name, settings, says in (
        ("plain.gz", {}, "plain.gz' is no gzip file: it begins with b'un'"),
        ("empty.gz", {}, "empty.gz' is no gzip file: it begins with b''"),
        ("cut.gz", {}, "cut.gz' ends too early: it was not copied or fetched whole"),
        ("flipped.gz", {}, "flipped.gz' c"),  # cannot be unpacked, or cannot be read for its checksum
        ("plain.zip", {}, "plain.zip' cannot be unpacked: File is not a zip file"),
        ("some.zip", {}, "data.member: '{}' holds 2 files\n    expected: one of spa.txt, about.txt"),
        (
            "some.zip",
            {"member": "sap.txt"},
            "has no file of that name\n    value: sap.txt\n    expected: one of spa.txt, about.txt\n    did you mean: spa.txt",
        ),
        ("none.zip", {}, "data.member: '{}' holds no files"),
        ("plain.gz", {"member": "spa.txt"}, "data.member: '{}' is no zip archive"),
        ("folder", {}, "data.path: means 2 files, "),
        ("folder/c.txt", {}, "data.path: '{}' does not exist\n    did you mean: "),
    ):
        with pytest.raises(DataError) as raised:
            prepare_pairs(path=str(tmp_path / name), **settings)
        assert says.format(tmp_path / name) in str(raised.value)


def test_two_files_of_unequal_length(prepare_pairs: Prepare, tmp_path: Path) -> None:
    (tmp_path / "a.es").write_text("uno\ndos\ntres\n")
    (tmp_path / "a.en").write_text("one\ntwo\nthree\nfour\nfive")
    with pytest.raises(
        DataError, match=r"a.en' has 5 lines, '.*a.es' only 3\n    expected: files whose lines of the same number are a pair"
    ):
        prepare_pairs(source_path=str(tmp_path / "a.es"), target_path=str(tmp_path / "a.en"))
    with pytest.raises(DataError, match=r"a.en' has 5 lines, '.*a.es' only 3"):
        prepare_pairs(source_path=str(tmp_path / "a.en"), target_path=str(tmp_path / "a.es"))
    with pytest.raises(DataError, match=r"data.validation.target_path: '.*b.en' does not exist"):
        prepare_pairs(GOOD, validation={"source_path": str(tmp_path / "a.es"), "target_path": str(tmp_path / "b.en")})


def test_a_few_lines_that_are_no_pairs_are_left_out_and_named(prepare_pairs: Prepare, caplog: pytest.LogCaptureFixture) -> None:
    lines = [*GOOD[:3], "", "no translation", *GOOD[3:], "   ", "\tno source"]
    with caplog.at_level(logging.WARNING):
        data = prepare_pairs(lines, max_malformed=0.2)
    assert len(data.examples["train"]) == 20
    assert "pairs.tsv: line 5 (1 column), line 24 (no sentence to read)" in caplog.text
    caplog.clear()
    assert len(prepare_pairs([*GOOD, *["x"] * 2000], max_malformed=1.0).examples["train"]) == 20
    assert "line 30 (1 column) and 1,990 more" in caplog.text


def test_text_of_every_kind(prepare_pairs: Prepare) -> None:
    lines = [
        "Hola 🙂👨‍👩‍👧\thello 🙂",
        "مرحبا بالعالم.\tHello, world.",
        "שלום\tpeace\twith\tmore\ttabs",
        "a\u2028b\u0085c\u000bd\tlines within a line",
        f"{'palabra ' * 5000}\tvery long",
        "<start> <end>\t[UNK] <pad>",
        "\ufeffdentro\tinside",
    ]
    data = prepare_pairs(lines, batch_size=7)
    assert len(data.examples["train"]) == 7
    found = dict(pairs_of(data, list(data.train.epoch(0))))
    assert found["مرحبا بالعالم ."] == "hello , world ."
    assert found["שלום"] == "peace" and found["a b c d"] == "lines within a line"
    assert found["< start > < end >"] == "[ unk ] < pad >"
    assert len(found[" ".join(["palabra"] * 5000)]) == len("very long")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "data.path: is missing"),
        ({"path": "a", "source_path": "b", "target_path": "c"}, "data.path: is given beside source_path and target_path"),
        ({"source_path": "b"}, "data.target_path: is missing"),
        ({"target_path": "b"}, "data.source_path: is missing"),
        ({"path": "a", "validation": {"source_path": "b"}}, "data.validation.target_path: is missing"),
        ({"path": "a", "test": {}}, "data.test.path: is missing"),
        ({"path": "a", "test": {"path": "b", "source_path": "c", "target_path": "d"}}, "data.test.path: is given beside source_path"),
        ({"path": "a", "test": {"path": "b"}, "test_fraction": 0.1}, "data.test_fraction: data.test names files for this part already"),
        ({"path": "a", "test_fraction": 0.5, "validation_fraction": 0.5}, "data.test_fraction: nothing is left to train on"),
        ({"path": "a", "target_column": 1}, "data.target_column: is the source's column too"),
        ({"path": "a", "batch_tokens": 10}, "data.batch_tokens: shuffled pairs are too different in length"),
        ({"path": "a", "vocabulary": {"kind": "subword"}}, "data.vocabulary.max_size: is missing"),
        ({"path": "a", "vocabulary": {"kind": "subword", "max_size": 9, "min_count": 2}}, "data.vocabulary.min_count: counts words"),
        (
            {"path": "a", "vocabulary": {"kind": "subword", "max_size": 9, "unknown": "error"}},
            "data.vocabulary.unknown: subwords always have",
        ),
        ({"path": "a", "vocabulary": {"unknown": "error", "min_count": 2}}, "data.vocabulary.min_count: words left out of the vocabulary"),
        ({"path": "a", "vocabulary": {"unknown": "error", "max_size": 9}}, "data.vocabulary.max_size: words left out of the vocabulary"),
        ({"path": "a", "vocabulary": {"unknown": "error"}, "test_fraction": 0.1}, "data.vocabulary.fit_on: held-out words"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], says: str) -> None:
    collector = ProblemCollector()
    ParallelTextDataSpec.model_validate(settings).check(collector)
    [problem] = collector.problems
    assert says in str(problem)
