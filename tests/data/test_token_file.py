"""A long text's tokens lie in a file: the same as in memory, made once, never those of another text."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.data import known_digests, numbered_text, reading, stream, text, text_source, token_file, tokenisation
from framework.data.corpus import corpus
from framework.data.prepared import PreparedData
from framework.data.stream import write_tokens
from framework.data.text import prepare_text
from framework.data.vocabulary import UnknownTokens
from framework.data.watched import watched_by
from framework.errors import DataError
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

TEXT = "".join(f"line {number} of this text\n" for number in range(200))

Prepare = Callable[..., PreparedData]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Prepares a text as if it were too long for the memory; files count as settled at once."""
    monkeypatch.setattr(text, "IN_MEMORY", -1)
    monkeypatch.setattr(known_digests, "SETTLED", 0.0)

    def run(content: str | None = TEXT, processor: Any = None, **changes: Any) -> PreparedData:
        if content is not None:
            (tmp_path / "text.txt").write_text(content)
            time.sleep(0.02)  # file systems count time in steps
        given = {"path": str(tmp_path / "text.txt"), "batch_size": 4, "sequence_length": 10, **changes}
        return prepare_text(TextDataSpec(**given), PathsSpec(cache_dir=str(tmp_path / "cache")), 0, processor)

    return run


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done while token files are looked for: ``made``, and ``read`` for each text file."""
    done: list[str] = []
    blocks = text_source._HashedFile.blocks

    def counted(*arguments: Any) -> Any:
        done.append("made")
        return write_tokens(*arguments)

    def seen(self: Any, size: int) -> Iterator[bytes]:
        done.append("read")
        return blocks(self, size)

    monkeypatch.setattr(token_file, "write_tokens", counted)
    monkeypatch.setattr(text_source._HashedFile, "blocks", seen)
    return done


def folders(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "tokens").iterdir())


def tokens_of(data: PreparedData) -> Any:
    return data.train.stream  # type: ignore[attr-defined]


def whole_text(content: bytes, encoding: str, spec: TextDataSpec) -> tuple[list[str], list[int], str]:
    """Tokens, numbers, and the digest (of all tokens of the text), by the text as a whole: as plain as it can be told."""
    plain = content.decode("utf-8-sig" if encoding == "utf-8" else encoding).replace("\r\n", "\n").replace("\r", "\n")
    plain = plain.lower() if spec.lowercase else plain
    found = list(plain) if spec.level == "character" else tokenisation.words(plain)
    frequent = sorted(Counter(found).items(), key=lambda item: (-item[1], item[0]))[: spec.max_vocabulary]
    alphabet = ["[UNK]"] * (spec.unknown == "replace") + sorted(token for token, _ in frequent)
    numbers = [alphabet.index(token) if token in alphabet else 0 for token in found]
    largest = max(len(set(found)), *numbers)
    dtype = "u1" if largest < 2**8 else "<u2"
    cut = spec.model_dump(include={"batch_size", "drop_remainder", "validation_fraction", "sequence_length", "order"})
    head = {"version": 1, "tokens": alphabet, "level": spec.level, "settings": cut}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode() + np.array(numbers, dtype).tobytes()).hexdigest()
    return alphabet, numbers[: spec.max_tokens], digest


@settings(max_examples=80)
@given(
    letters=st.lists(st.sampled_from(["a", "b", "A", " ", "\n", "\r", "\r\n", "é", "漢", "\U0001f30d", "don't "]), min_size=2, max_size=60),
    many=st.sampled_from([0, 300]),
    piece=st.integers(1, 9),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-32-le"]),
    level=st.sampled_from(["character", "word"]),
    lowercase=st.booleans(),
    max_tokens=st.none() | st.integers(2, 40),
    most=st.none() | st.integers(2, 6),
)
def test_a_token_file_is_what_the_whole_text_in_memory_gives(
    tmp_path_factory: pytest.TempPathFactory, letters: list[str], many: int, piece: int, encoding: str, level: str, lowercase: bool,
    max_tokens: int | None, most: int | None,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("any")
    content = "".join(letters) + "".join(chr(0x4E00 + number) for number in range(many))
    (folder / "text.txt").write_bytes(content.encode(encoding))
    spec = TextDataSpec.model_validate({
        "path": str(folder / "text.txt"), "encoding": encoding, "level": level, "lowercase": lowercase, "max_tokens": max_tokens,
        "max_vocabulary": most, "unknown": "error" if most is None else "replace", "batch_size": 1, "sequence_length": 1,
    })  # fmt: skip
    found = []
    with ExitStack() as stack:
        for module in (reading, stream, numbered_text, text_source):
            stack.enter_context(mock.patch.object(module, "PIECE", piece))
        for most_held in (-1, 2**25):
            with mock.patch.object(text, "IN_MEMORY", most_held):
                try:
                    found.append(prepare_text(spec, PathsSpec(cache_dir=str(folder / "cache")), 0))
                except DataError as error:
                    assert re.search("nothing but|too short", str(error))
                    found.append(None)
    if None in found:
        assert found == [None, None]
        return
    alphabet, numbers, digest = whole_text(content.encode(encoding), encoding, spec)
    for data in found:
        assert data is not None
        assert list(data.processor.vocabulary.tokens) == alphabet  # type: ignore[attr-defined]
        assert tokens_of(data).tolist() == numbers and not tokens_of(data).flags.writeable
        assert max_tokens is not None or data.digest == digest
    on_disk, in_memory = found
    assert (on_disk.figures, on_disk.opening, on_disk.tokens, on_disk.sizes) == (  # type: ignore[union-attr]
        in_memory.figures, in_memory.opening, in_memory.tokens, in_memory.sizes)  # type: ignore[union-attr]  # fmt: skip
    assert on_disk.digest == in_memory.digest and tokens_of(on_disk).dtype == tokens_of(in_memory).dtype  # type: ignore[union-attr]
    for ours, theirs in zip(on_disk.train.epoch(1), in_memory.train.epoch(1), strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(ours.inputs["tokens"], theirs.inputs["tokens"])
        np.testing.assert_array_equal(ours.targets, theirs.targets)


def test_short_texts_leave_nothing_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    spec = TextDataSpec(path=str(tmp_path / "text.txt"), batch_size=4, sequence_length=10)
    prepare_text(spec, PathsSpec(cache_dir=str(tmp_path / "cache")), 0)
    assert not (tmp_path / "cache").exists()


def test_the_second_start_reads_neither_the_text_nor_the_tokens(prepare: Prepare, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(validation_fraction=0.5)
    assert made == ["made", "read"]
    summed: list[Path] = []
    monkeypatch.setattr(token_file, "sha256_of", lambda file: (summed.append(file), hashlib.sha256(file.read_bytes()).hexdigest())[1])
    monkeypatch.setattr(numbered_text.NumberedText, "digest", lambda *_: pytest.fail("the tokens are read"))
    again = prepare(None, validation_fraction=0.5)
    assert again.digest == first.digest and again.source == first.source and again.validation is not None
    assert made == ["made", "read"] and [file.name for file in summed] == ["vocabulary.json"]


def test_other_settings_of_batches_share_the_file_and_other_tokens_do_not(prepare: Prepare, made: list[str], tmp_path: Path) -> None:
    digests = {prepare().digest, prepare(None, batch_size=5).digest, prepare(None, order="contiguous").digest}
    assert len(digests) == 3 and made.count("made") == 1 and len(folders(tmp_path)) == 1
    for changes in ({"lowercase": True}, {"level": "word"}, {"max_tokens": 999}, {"unknown": "replace"}):
        prepare(None, **changes)
    assert made.count("made") == 5 and len(folders(tmp_path)) == 5


def test_a_text_of_the_same_size_and_time_is_another_text(prepare: Prepare, made: list[str], tmp_path: Path) -> None:
    first, file = prepare(), tmp_path / "text.txt"
    times = file.stat()
    file.write_text(TEXT.replace("line", "Verse"[:4]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = prepare(None)
    assert made.count("made") == 2 and second.digest != first.digest
    assert second.processor.vocabulary.decode(tokens_of(second)[:4]) == "Vers"  # type: ignore[attr-defined]
    file.write_text(TEXT)
    assert prepare(None).digest == first.digest and made.count("made") == 2, "the first one's is still there"


def test_a_file_that_has_just_been_written_is_read_to_be_sure(prepare: Prepare, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_digests, "SETTLED", 60.0)
    first = prepare()
    assert prepare(None).digest == first.digest and made == ["made", "read", "read"]


def test_the_same_text_elsewhere_is_known_by_its_content(prepare: Prepare, made: list[str], tmp_path: Path) -> None:
    first = prepare()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "copy.txt").write_text(TEXT)
    os.utime(tmp_path / "text.txt", (1, 1))
    for path in ("text.txt", "elsewhere/copy.txt", "elsewhere"):
        assert prepare(None, path=str(tmp_path / path)).digest == first.digest
    assert made.count("made") == 1


def test_of_many_files_those_that_changed_are_read_again(prepare: Prepare, made: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(TEXT + str(number))
    time.sleep(0.02)
    first = prepare(None, path=str(folder))
    assert made == ["made", "read", "read", "read"]
    assert first.tokens == 3 * (len(TEXT) + 1) + 2, "line ends between them"
    (folder / "1.txt").write_text(TEXT + "1")
    assert prepare(None, path=str(folder)).digest == first.digest and made[4:] == ["read"]
    (folder / "1.txt").rename(folder / "4.txt")
    assert prepare(None, path=str(folder)).digest != first.digest, "another order"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("tokens", lambda content: content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]),
        ("tokens", lambda content: content[:-1]),
        ("vocabulary.json", lambda content: content.replace(b'"x"', b'"y"')),
        ("vocabulary.json", lambda content: b""),
        ("tokens.json", lambda content: content[:-5]),
    ],
)
def test_a_damaged_token_file_is_made_anew(
    prepare: Prepare, made: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    first = prepare()
    numbers = tokens_of(first).tolist()
    [folder] = folders(tmp_path)
    (folder / name).write_bytes(spoil((folder / name).read_bytes()))
    caplog.set_level(logging.INFO)
    again = prepare(None)
    assert again.digest == first.digest and tokens_of(again).tolist() == numbers and made.count("made") == 2
    said = f"{folder} was damaged; the tokens of {tmp_path / 'text.txt'} were made anew"
    assert [record.message for record in caplog.records] == [said]
    caplog.clear()
    assert prepare(None).digest == first.digest and made.count("made") == 2 and not caplog.records


def test_a_copied_cache_is_checked_once(prepare: Prepare, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare()
    [folder] = folders(tmp_path)
    (folder / "tokens").write_bytes((folder / "tokens").read_bytes())
    summed: list[str] = []
    monkeypatch.setattr(token_file, "sha256_of", lambda file: (summed.append(file.name), hashlib.sha256(file.read_bytes()).hexdigest())[1])
    assert prepare(None).digest == prepare(None).digest == first.digest
    assert made.count("made") == 1 and summed == ["vocabulary.json", "tokens", "vocabulary.json"]


def test_what_is_kept_is_read_where_nothing_can_be_written(prepare: Prepare, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare()

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    for module in (token_file, known_digests):
        monkeypatch.setattr(module, "replace_text", refuse)
    prepare(None, batch_size=3)
    assert prepare(None).digest == first.digest and made.count("made") == 1


def test_a_cache_that_cannot_be_written_is_named(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError) as caught:
        prepare()
    assert re.fullmatch(
        r"paths\.cache_dir: '.*/cache/tokens' cannot be written: (Not a directory|File exists)\n"
        r"    hint: set paths\.cache_dir to a folder that can be written and has room",
        str(caught.value),
    )


def test_errors_of_the_text_are_told_as_ever_and_leave_nothing(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(TEXT.encode() + b"\xff and more")
    with pytest.raises(DataError, match=rf"is no utf-8 text: the byte at offset {len(TEXT):,} is 0xff"):
        prepare(None)
    with pytest.raises(DataError, match="the text is empty"):
        prepare("")
    with pytest.raises(DataError, match="does not exist"):
        prepare(None, path=str(tmp_path / "none.txt"))
    assert folders(tmp_path) == []


def test_a_trained_models_vocabulary_reads_its_own_text_from_its_own_file(prepare: Prepare, made: list[str], tmp_path: Path) -> None:
    first = prepare()
    assert prepare(None, first.processor).digest == first.digest and made.count("made") == 1
    other = prepare("line of text\n" * 40, first.processor)
    assert other.sizes == first.sizes and made.count("made") == 2
    assert prepare(None, first.processor).digest == other.digest and made.count("made") == 2
    assert prepare(None).sizes != first.sizes and made.count("made") == 3
    with pytest.raises(UnknownTokens, match=rf"'Q' \({re.escape(str(tmp_path / 'text.txt'))}, line 41\)"):
        prepare("line of text\n" * 40 + "Quoth", first.processor)
    assert len(folders(tmp_path)) == 3


@corpus("test_long")
def _pieces() -> Iterator[str]:
    yield from PIECES.values()


PIECES = {"first": "abc", "then": "defg" * 20, "last": "\n"}


def test_a_corpus_that_is_no_file_is_known_by_its_content(prepare: Prepare, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(None, path=None, corpus="test_long")
    assert prepare(None, path=None, corpus="test_long").digest == first.digest and made == ["made"]
    monkeypatch.setitem(PIECES, "first", "cba")
    second = prepare(None, path=None, corpus="test_long")
    assert second.digest != first.digest and made == ["made", "made"]
    assert second.processor.vocabulary.decode(tokens_of(second)[:4]) == "cbad"  # type: ignore[attr-defined]


def test_who_watches_is_told_in_megabytes(prepare: Prepare, tmp_path: Path) -> None:
    told: list[tuple[int, int, str, str]] = []
    with watched_by(lambda *what: told.append(what)):
        prepare("To be, or not to be\n" * 150_000)
    assert told == [(done, 3, "tokens", "MB") for done in (0, 1, 2, 3)]
