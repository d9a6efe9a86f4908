from __future__ import annotations

import codecs
import io
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.data import reading
from framework.data.reading import even_pieces, read_files
from framework.errors import DataError


def read(files: list[Path], encoding: str = "utf-8", piece: int = reading.PIECE) -> str:
    with mock.patch.object(reading, "PIECE", piece):
        return "".join(read_files(files, encoding))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading") / "file.txt"


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), piece=st.integers(1, 7))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_text_is_read_as_python_reads_it_whatever_the_pieces(scratch: Path, encoding: str, text: str, piece: int) -> None:
    scratch.write_bytes(text.encode(encoding))
    expected = io.TextIOWrapper(io.BytesIO(text.encode(encoding)), encoding="utf-8-sig" if encoding == "utf-8" else encoding).read()
    assert read([scratch], encoding, piece) == expected


@given(
    head=st.text("aé€\U0001f600\n", max_size=12), wrong=st.sampled_from([b"\xff", b"\xe2\x82", b"\xc3(", b"\x80"]), piece=st.integers(1, 5)
)
def test_the_offset_of_a_wrong_byte_is_its_place_in_the_file(scratch: Path, head: str, wrong: bytes, piece: int) -> None:
    content = head.encode() + wrong + (b"tail" if wrong != b"\xe2\x82" else b"")
    scratch.write_bytes(content)
    with pytest.raises(UnicodeDecodeError) as oracle:
        content.decode("utf-8")
    with pytest.raises(DataError) as caught:
        read([scratch], piece=piece)
    assert f"the byte at offset {oracle.value.start:,} is 0x{content[oracle.value.start]:02x}" in str(caught.value)


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "utf-16-le", "ascii"])
def test_the_offset_is_right_in_other_encodings_too(scratch: Path, encoding: str) -> None:
    wrong = {"gbk": b"\xff", "shift_jis": b"\xff", "utf-16-le": b"\x00\xdc", "ascii": b"\xe9"}[encoding]
    content = ("ab" * 500).encode(encoding) + wrong + "c".encode(encoding)
    scratch.write_bytes(content)
    with pytest.raises(UnicodeDecodeError) as oracle:
        content.decode(encoding)
    with pytest.raises(DataError, match=f"no {encoding} text: the byte at offset {oracle.value.start:,} is"):
        read([scratch], encoding, piece=64)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.txt").write_bytes(codecs.BOM_UTF8 + b"text\n")
    assert read([tmp_path / "1.txt", tmp_path / "2.txt"]) == "text\ntext\n"


def test_line_ends_become_one_character_even_across_pieces(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n\r\nfour\r")
    for piece in range(1, 8):
        assert read([tmp_path / "a.txt"], piece=piece) == "one\ntwo\nthree\n\nfour\n"


def test_files_are_joined_at_line_ends_and_the_last_is_left_as_it_is(tmp_path: Path) -> None:
    contents = ["one", "two\n", "", "three"]
    files = [tmp_path / f"{number}.txt" for number in range(4)]
    for file, content in zip(files, contents, strict=True):
        file.write_text(content)
    assert read(files) == "one\ntwo\nthree"


@given(pieces=st.lists(st.text("abc", max_size=9)), size=st.integers(1, 6))
def test_even_pieces_have_one_length(pieces: list[str], size: int) -> None:
    with mock.patch.object(reading, "PIECE", size):
        even = list(even_pieces(pieces))
    assert "".join(even) == "".join(pieces)
    assert all(len(piece) == size for piece in even[:-1])
    assert all(1 <= len(piece) <= size for piece in even)


def test_a_binary_file_is_named_with_the_byte_and_the_encoding(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(b"abc\n" * 300 + b"\x00\x01")
    with pytest.raises(DataError) as caught:
        read([tmp_path / "photo.txt"], piece=100)
    message = str(caught.value)
    assert f"'{tmp_path / 'photo.txt'}' is no utf-8 text: the byte at offset 1,200 is NUL" in message
    assert "data.encoding" in message and "glob" in message


@pytest.mark.parametrize(
    ("mark", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF32_LE, "utf-32")]
)
def test_a_file_that_says_its_encoding_leads_to_that_encoding(tmp_path: Path, mark: bytes, encoding: str) -> None:
    codec = {2: "utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-16-le", 4: "utf-32-le"}[len(mark)]
    (tmp_path / "w.txt").write_bytes(mark + "ab".encode(codec))
    with pytest.raises(DataError, match=f"set data.encoding={encoding}$"):
        read([tmp_path / "w.txt"])
    assert read([tmp_path / "w.txt"], encoding) == "ab"


@pytest.mark.parametrize(("encoding", "suggestion"), [("utf-88", "utf-8"), ("latin-0", "latin"), ("base64", None), ("", None)])
def test_an_unknown_encoding_is_named(tmp_path: Path, encoding: str, suggestion: str | None) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DataError, match=f"data.encoding: unknown encoding '{encoding}'") as caught:
        read([tmp_path / "a.txt"], encoding)
    if suggestion:
        assert f"did you mean: {suggestion}" in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'.*gone\.txt' cannot be read: No such file"):
        read([tmp_path / "gone.txt"])
