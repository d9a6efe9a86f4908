from __future__ import annotations

import dataclasses
import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data.corpus import corpus
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.data.text import prepare_text
from framework.data.windows import ContiguousWindows, ShuffledWindows
from framework.errors import DataError
from framework.spec.data import DownloadSpec, TextDataSpec
from framework.spec.experiment import PathsSpec

PATHS = PathsSpec()
TEXT = "".join(f"line {number} of this text\n" for number in range(200))
CONFIGS = Path(__file__).parents[2] / "configs" / "data"


@corpus("test_alphabet")
def _alphabet() -> Iterator[str]:
    yield "abcdefghij"
    yield "klmnopqrstuvwxyz"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    return file


def prepared(file: Path, seed: int = 0, **changes: Any) -> PreparedData:
    return prepare_text(TextDataSpec(path=str(file), **{"batch_size": 4, "sequence_length": 10} | changes), PATHS, seed)


def windows_of(data: PreparedData, epoch: int = 0) -> list[str]:
    return [
        data.processor.vocabulary.decode([*row, target[-1]])
        for batch in data.train.epoch(epoch)
        for row, target in zip(batch.inputs["tokens"], batch.targets, strict=True)
    ]


def test_prepared_text_says_what_it_is(file: Path) -> None:
    data = prepared(file)
    assert data.sizes == {"tokens": len(set(TEXT))} == {"tokens": data.processor.vocabulary.size}
    assert data.tokens == len(TEXT)
    assert data.source == str(file)
    assert data.validation is None
    assert isinstance(data.train, ShuffledWindows)
    assert data.train.steps == len(TEXT) // 11 // 4
    chunks = [TEXT[start : start + 11] for start in range(0, len(TEXT) - 10, 11)]
    assert not Counter(windows_of(data)) - Counter(chunks)
    assert len(windows_of(data)) == len(chunks) // 4 * 4
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.tokens = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "settings", "opening"),
    [
        ("\n\n  First Citizen:\nBefore we proceed any further, hear me speak.\n", {}, "First Citizen:"),
        ("To gate, or not to gate.\n", {}, "To gate, or"),
        ("To gate, or not to gate.\n", {"level": "word", "lowercase": True}, "to gate, or"),
        ("a" * 50 + "b\n", {}, "a" * 30),
        ("zebra gate gate gate\n", {"level": "word", "unknown": "replace", "max_vocabulary": 2}, "gate gate gate"),
        (" \n", {}, ""),
    ],
)
def test_a_texts_first_words_can_be_gone_on_from(tmp_path: Path, text: str, settings: dict[str, Any], opening: str) -> None:
    file = tmp_path / "my.txt"
    file.write_text(text * 40)
    data = prepare_text(TextDataSpec(path=str(file), batch_size=2, sequence_length=5, **settings), PATHS, 0)
    assert data.opening == opening
    assert (data.processor.vocabulary.encode(opening) >= 0).all()  # type: ignore[attr-defined]


def test_prepare_is_the_same_by_kind(file: Path) -> None:
    spec = TextDataSpec(path=str(file), batch_size=4, sequence_length=10)
    assert prepare(spec, PATHS, 0).digest == prepare_text(spec, PATHS, 0).digest


def test_path_comes_before_corpus_and_corpus_before_download(file: Path) -> None:
    download = DownloadSpec(url="http://127.0.0.1:9/", sha256="0" * 64, filename="x")
    small: dict[str, Any] = {"batch_size": 1, "sequence_length": 5, "download": download, "corpus": "test_alphabet"}
    assert prepare_text(TextDataSpec(path=str(file), **small), PATHS, 0).source == str(file)
    data = prepare_text(TextDataSpec(**small), PATHS, 0)
    assert (data.source, data.sizes, data.tokens) == ("corpus test_alphabet", {"tokens": 26}, 26)


def test_a_corpus_may_be_a_path(file: Path) -> None:
    @corpus("test_folder")
    def read() -> Path:
        return file.parent

    data = prepare_text(TextDataSpec(corpus="test_folder", batch_size=2, sequence_length=5), PATHS, 0)
    assert data.processor.vocabulary.decode(data.train.stream) == TEXT  # type: ignore[attr-defined]


def test_many_files_are_described_by_number_and_ends(tmp_path: Path, file: Path) -> None:
    (tmp_path / "zoo.txt").write_text(TEXT)
    assert prepared(tmp_path).source == f"2 files, {file} to {tmp_path / 'zoo.txt'}"
    assert prepared(tmp_path).tokens == 2 * len(TEXT)


@settings(max_examples=40)
@given(fraction=st.floats(0.01, 0.9), order=st.sampled_from(["shuffled", "contiguous"]))
def test_validation_is_the_texts_end_in_order_and_no_window_spans_the_border(
    tmp_path_factory: pytest.TempPathFactory, fraction: float, order: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "split.txt"
    file.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 2000))))
    data = prepared(file, validation_fraction=fraction, order=order, batch_size=2, sequence_length=4, drop_remainder=False)
    border = int(2000 * (1 - fraction))
    assert data.validation is not None
    train, validation = (
        [int(token) for batch in part.epoch(0) for token in [*batch.inputs["tokens"].ravel(), *batch.targets.ravel()]]
        for part in (data.train, data.validation)
    )
    assert max(train) < border <= min(validation)
    rows = [row[0] for batch in data.validation.epoch(0) for row in batch.inputs["tokens"].tolist()]
    assert rows[0] == border
    if order == "shuffled":
        assert rows == sorted(rows) and len(train) == border // 5 * 8 and len(validation) == (2000 - border) // 5 * 8


def test_validation_is_the_same_for_every_seed_and_epoch_and_training_is_not(file: Path) -> None:
    first, second = (prepared(file, seed=seed, validation_fraction=0.5) for seed in (1, 2))
    assert first.validation is not None and second.validation is not None
    for a, b in zip(first.validation.epoch(0), second.validation.epoch(7), strict=True):
        assert np.array_equal(a.targets, b.targets)
    assert windows_of(first) != windows_of(second)
    assert windows_of(first, 0) != windows_of(first, 1)
    assert windows_of(first) == windows_of(prepared(file, seed=1, validation_fraction=0.5))


def test_contiguous_text_is_read_on(file: Path) -> None:
    data = prepared(file, order="contiguous", batch_size=2, sequence_length=10)
    assert isinstance(data.train, ContiguousWindows)
    rows = ["".join(data.processor.vocabulary.decode(batch.inputs["tokens"][row]) for batch in data.train.epoch(0)) for row in (0, 1)]
    assert TEXT.startswith(rows[0] + rows[1])
    assert len(rows[0]) == (len(TEXT) - 1) // 20 * 10


def test_the_digest_changes_with_text_and_settings_and_with_nothing_else(file: Path, tmp_path: Path) -> None:
    digest = prepared(file).digest
    (tmp_path / "copy.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert prepared(tmp_path / "copy.txt").digest == digest == prepared(file, seed=5).digest
    assert len(digest) == 64 and int(digest, 16) >= 0
    changes: list[dict[str, Any]] = [
        {"batch_size": 5}, {"sequence_length": 9}, {"order": "contiguous"}, {"drop_remainder": False}, {"validation_fraction": 0.1},
        {"level": "word"}, {"lowercase": True}, {"max_tokens": 4000}, {"unknown": "replace"}, {"unknown": "replace", "max_vocabulary": 9},
        {"shuffle_buffer": 7},
    ]  # fmt: skip
    file.write_text(TEXT.replace("line", "Verse"))
    digests = [prepared(file, **change).digest for change in changes] + [prepared(file).digest, digest]
    assert len(set(digests)) == len(changes) + 2
    (tmp_path / "other.txt").write_text(TEXT.replace("e", "E"))  # the same numbers, other letters
    assert prepared(tmp_path / "other.txt").digest not in digests


def test_nothing_to_read_is_named_with_the_offline_text() -> None:
    with pytest.raises(DataError, match=r"data\.path: is missing\n.*\n    hint: set data\.path=FILE, or choose data=python_source"):
        prepare_text(TextDataSpec(), PATHS, 0)


def test_an_unknown_corpus_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"unknown corpus 'python_sauce'\n.*python_source.*\n    did you mean: python_source"):
        prepare_text(TextDataSpec(corpus="python_sauce"), PATHS, 0)


def test_a_missing_download_names_the_offline_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    spec = TextDataSpec(download=DownloadSpec(url="http://127.0.0.1:9/x.txt", sha256="0" * 64, filename="x.txt"))
    with pytest.raises(DataError, match="data=python_source needs no download"):
        prepare_text(spec, PathsSpec(cache_dir=str(tmp_path)), 0)


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (43, {}, "it gives 43 tokens for training, which needs at least 44\n    expected: 4 windows of 10 tokens and the one after them"),
        (40, {"order": "contiguous"}, "it gives 40 tokens for training, which needs at least 41\n    expected: 4 windows of 10 tokens\n"),
        (
            10,
            {"drop_remainder": False},
            "it gives 10 tokens for training, which needs at least 11\n    expected: one window of 10 tokens and",
        ),
        (48, {"validation_fraction": 0.1}, "it gives 43 tokens for training, which needs at least 44"),
        (400, {"validation_fraction": 0.1}, "it gives 40 tokens for validation, which needs at least 44"),
        (900, {"max_tokens": 7}, "it gives 7 tokens for training"),
    ],
)
def test_a_text_that_is_too_short_says_what_there_is_and_what_is_needed(
    tmp_path: Path, size: int, settings: dict[str, Any], message: str
) -> None:
    (tmp_path / "short.txt").write_text(TEXT[:size])
    with pytest.raises(DataError) as caught:
        prepared(tmp_path / "short.txt", **settings)
    text = str(caught.value)
    assert text.startswith("data: the text is too short: ") and message in text
    assert "lower data.batch_size or data.sequence_length" in text
    assert ("data.validation_fraction" in text) == ("validation_fraction" in settings)
    assert ("raise data.max_tokens" in text) == ("max_tokens" in settings)


@pytest.mark.parametrize(
    ("size", "settings"),
    [(44, {}), (41, {"order": "contiguous"}), (11, {"drop_remainder": False}), (440, {"validation_fraction": 0.1})],
)
def test_a_text_that_is_just_long_enough_is_one_batch(tmp_path: Path, size: int, settings: dict[str, Any]) -> None:
    (tmp_path / "short.txt").write_text(TEXT[:size])
    data = prepared(tmp_path / "short.txt", **settings)
    assert (data.validation or data.train).steps == 1


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match="the text is empty"):
        prepared(tmp_path / "empty.txt")


@pytest.mark.parametrize(
    ("text", "settings", "token"),
    [
        ("a" * 500, {}, "'a'"),
        ("a" * 500, {"validation_fraction": 0.3}, "'a'"),
        ("aA" * 500, {"lowercase": True}, "'a'"),
        ("\n" * 500, {"order": "contiguous"}, r"'\n'"),
        ("word" * 2, {"level": "word", "sequence_length": 1, "batch_size": 1}, "'wordword'"),
    ],
    ids=["characters", "validation", "lower case", "contiguous", "words"],
)
def test_a_text_of_one_token_has_nothing_to_predict(tmp_path: Path, text: str, settings: dict[str, Any], token: str) -> None:
    (tmp_path / "one.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        prepared(tmp_path / "one.txt", **settings)
    assert str(caught.value) == (
        f"data: the text is nothing but {token}, again and again: there is nothing to predict\n"
        "    expected: two different tokens at least\n    hint: give other text"
    )
    if not settings:  # with [UNK] there are two
        assert prepared(tmp_path / "one.txt", unknown="replace").sizes == {"tokens": 2}


def with_download(file: Path, **changes: Any) -> PreparedData:
    """As a shipped data set: a declared text, found in the data folder."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    download = DownloadSpec(url="http://127.0.0.1:9/", sha256=sha256, filename=file.name)
    spec = TextDataSpec(download=download, batch_size=4, sequence_length=10, **changes)
    return prepare_text(spec, PathsSpec(data_dir=str(file.parent)), 0)


def test_declared_sizes_are_held_against_the_real_ones(file: Path) -> None:
    real = len(set(TEXT))
    assert with_download(file, declared_sizes={"tokens": real}).sizes == {"tokens": real}
    assert with_download(file, declared_sizes={"tokens": real}, unknown="replace").sizes == {"tokens": real + 1}
    assert with_download(file, declared_sizes={"tokens": real}, unknown="replace", max_vocabulary=8).sizes == {"tokens": 9}
    assert with_download(file, declared_sizes={"tokens": real}, max_tokens=100).sizes == {"tokens": real}
    assert prepared(file, declared_sizes={"tokens": 3}).sizes == {"tokens": real}  # data.path replaces the declared text
    with pytest.raises(DataError) as caught:
        with_download(file, declared_sizes={"tokens": 5}, unknown="replace")
    assert str(caught.value) == (
        f"data.declared_sizes.tokens: the data's size 'tokens' is {real + 1}, but 6 by the config\n"
        "    value: 5\n"
        f"    hint: set data.declared_sizes.tokens={real} if this is the data that is meant, "
        "or take the declaration out with '~data.declared_sizes.tokens'"
    )


def test_memory_is_the_tokens_and_one_batch(tmp_path: Path) -> None:
    size = 24 * 2**20
    with (tmp_path / "large.txt").open("w") as large:
        for _ in range(24):
            large.write(("To be, or not to be, that is the question:\n" * 25_000)[: 2**20])
    fixed = 16 * 2**20  # the code-point table and the pieces in work: both the same for a text of any size
    tracemalloc.start()
    try:
        data = prepare_text(TextDataSpec(path=str(tmp_path / "large.txt"), batch_size=16, validation_fraction=0.1), PATHS, 0)
        held, peak = tracemalloc.get_traced_memory()
        assert data.tokens == size
        assert held < size + 2**20
        assert peak < size * 1.125 + fixed
        tracemalloc.reset_peak()
        assert sum(1 for _ in data.train.epoch(0, start=data.train.steps - 50)) == 50
        _, peak = tracemalloc.get_traced_memory()
        batch = 16 * 101 * (1 + 2 * 4)
        order = data.train.windows * 8  # type: ignore[attr-defined]
        assert peak - held < order + 3 * batch + 2**17
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["shakespeare", "python_source", "text"])
def test_shipped_data_sets_are_valid_and_say_what_they_are(name: str) -> None:
    text = (CONFIGS / f"{name}.yaml").read_text()
    spec = TextDataSpec.model_validate(yaml.safe_load(text))
    lines = text.splitlines()
    assert lines[0] == "# yaml-language-server: $schema=../schema/data.json"
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert "Licence" in header and f"gatework train recipe=text_generation data={name}" in header
    assert all("#" in line for line in lines if ":" in line and not line.endswith(":")), "a value without a comment"
    assert (spec.batch_size, spec.sequence_length) == (64, 100)
