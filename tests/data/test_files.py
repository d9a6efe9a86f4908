from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework.data.files import find_files
from framework.errors import DataError


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("texts/b.txt", "texts/a.txt", "texts/deep/c.md", "texts/.hidden", "texts/.git/config", "texts/deep/d.txt", "play [1].txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(found: list[Path]) -> list[str]:
    return [file.as_posix() for file in found]


def test_a_file_is_itself(texts: Path) -> None:
    assert names(find_files("texts/b.txt")) == ["texts/b.txt"]
    assert find_files(texts / "texts/b.txt") == [texts / "texts/b.txt"]


def test_a_folder_is_all_files_below_it_by_name_without_hidden_ones(texts: Path) -> None:
    assert names(find_files("texts")) == ["texts/a.txt", "texts/b.txt", "texts/deep/c.md", "texts/deep/d.txt"]


def test_a_folder_does_not_enter_links_to_folders(texts: Path) -> None:
    os.symlink(texts / "texts", texts / "texts" / "deep" / "loop")
    assert names(find_files("texts/deep")) == ["texts/deep/c.md", "texts/deep/d.txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("texts/*", ["texts/a.txt", "texts/b.txt"]),
        ("texts/**/*.txt", ["texts/a.txt", "texts/b.txt", "texts/deep/d.txt"]),
        ("texts/[b]*", ["texts/b.txt"]),
        ("texts/?.txt", ["texts/a.txt", "texts/b.txt"]),
    ],
)
def test_a_glob_is_the_files_that_it_matches_by_name(texts: Path, pattern: str, expected: list[str]) -> None:
    assert names(find_files(pattern)) == expected


def test_an_absolute_glob_works(texts: Path) -> None:
    assert find_files(str(texts / "texts" / "*.txt")) == [texts / "texts/a.txt", texts / "texts/b.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(texts: Path) -> None:
    assert names(find_files("play [1].txt")) == ["play [1].txt"]


def test_a_list_keeps_its_order_and_names_each_file_once(texts: Path) -> None:
    assert names(find_files(["texts/deep", "texts/b.txt", "texts/*.txt"])) == [
        "texts/deep/c.md",
        "texts/deep/d.txt",
        "texts/b.txt",
        "texts/a.txt",
    ]


def test_the_home_folder_is_known(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(texts))
    assert find_files("~/texts/a.txt") == [texts / "texts/a.txt"]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("texts/bb.txt", ["data.path: 'texts/bb.txt' does not exist", "did you mean: texts/b.txt"]),
        ("txts/b.txt", ["'txts/b.txt' does not exist", "did you mean: texts/b.txt"]),
        ("txts/*.txt", ["'txts' does not exist", "did you mean: texts"]),
        ("texts/zebra.csv", ["'texts/zebra.csv' does not exist", "there is no 'zebra.csv' in folder"]),
        ("texts/a.txt/more", ["'texts/a.txt/more' does not exist", "'texts/a.txt' is a file, not a folder"]),
        ("texts/*.csv", ["glob 'texts/*.csv' matches no file", "'**'"]),
        ("texts/dee*", ["glob 'texts/dee*' matches no file"]),
        ("empty", ["folder 'empty' holds no file", "dot"]),
        ("", ["data.path: is empty"]),
        (["texts/a.txt", "nowhere"], ["'nowhere' does not exist"]),
        ("x" * 5000, ["cannot be looked up"]),
    ],
)
def test_what_is_not_there_is_named_with_what_is(texts: Path, path: str | list[str], parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        find_files(path)
    for part in parts:
        assert part in str(caught.value)


def test_a_pipe_is_refused(texts: Path) -> None:
    os.mkfifo(texts / "pipe")
    with pytest.raises(DataError, match="'pipe' is neither a file nor a folder"):
        find_files("pipe")
