"""What no YAML file may hold is refused with file and line, before anything is built from it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from framework.config.saved import load_resolved
from framework.config.yaml_file import read_positions, read_yaml
from framework.errors import RunError, SpecError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "value.yaml"


def laughs(levels: int) -> str:
    return "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, levels)
    )


HOSTILE: dict[str, tuple[str, int, str]] = {
    "billion laughs": (laughs(9), 4, "the aliases of the file stand for more than 1,000 values"),
    "laughs by merging": (
        "a: &a {" + ", ".join(f"k{n}: 1" for n in range(40)) + "}\nb: &b\n  <<: [" + ", ".join(["*a"] * 40) + "]\n",
        3,
        "more than 1,000 values",
    ),
    "a chain of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80)),
        45,
        "stand for more than 1,000 values",
    ),
    "deep by aliases": ("a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 30 + "*a" + "]" * 30 + "\n", 2, "more than 50 deep"),
    "an alias within its anchor": ("a: 1\nb: &b [1, *b]\n", 2, "the alias '*b' stands for what it stands in"),
    "deep lists": ("a: 1\nb: " + "[" * 50_000 + "\n", 2, "lists or mappings lie more than 50 deep in each other"),
    "deep mappings": ("b: " + "{a: " * 400 + "1" + "}" * 400 + "\n", 1, "more than 50 deep"),
    "deep blocks": ("".join("  " * n + "a:\n" for n in range(60)), 51, "more than 50 deep"),
    "deep dashes": ("- " * 400 + "a\n", 1, "more than 50 deep"),
    "deep interpolations": ("a: 1\nb: " + "${a" * 100 + "}" * 100 + "\n", 2, "brackets lie more than 50 deep"),
    "many values": ("a: [" + "1, " * 11_000 + "1]\n", 1, "more than 10,000 values"),
    "a long file": ("# " + "x" * 2**20 + "\n", 1, "the file is longer than 1,048,576 bytes"),
    "an integer that is none": ("a: 1\nb: !!int abc\n", 2, "tags are not read"),
    "a float that is none": ("b: !!float abc\n", 1, "tags are not read"),
    "a day that is none": ("b: !!timestamp 2020-13-45\n", 1, "tags are not read"),
    "a set": ("b: !!set {a, b}\n", 1, "tags are not read"),
    "bytes": ("b: !!binary abc\n", 1, "tags are not read"),
    "an object of Python": ("b: !!python/object/apply:os.system [touch owned]\n", 1, "tags are not read"),
    "a tag of one's own": ("b: !mine {a: 1}\n", 1, "value: !mine"),
    "5,000 digits": (f"b: {'9' * 5000}\n", 1, "a number of 5,000 characters"),
    "5,000 hexadecimal digits": (f"b: 0x{'f' * 5000}\n", 1, "a number of 5,002 characters"),
    "an exponent without end": (f"b: 1e{'9' * 5000}\n", 1, "a number of 5,002 characters"),
    "a leading zero": ("a: 1\nb: 010\n", 2, "expected: 10 for the number, '010' in quotes for text"),
    "a leading zero that is no octal number": ("b: -08\n", 1, "expected: -8 for the number, '-08' in quotes for text"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
    "a list for a key": ("a: 1\n? [b]\n: 2\n", 2, "a key is a list or mapping"),
    "a control character": ("a: 1\nb: x\x07y\n", 2, "the character U+0007"),
    "an alias without anchor": ("a: *b\n", 1, "undefined alias"),
    "a key twice": ("a: 1\nb: 1\na: 2\n", 3, "the key 'a' stands twice in one mapping"),
    "a key twice within": ("b:\n  - x: 1\n    x: 2\nc: {<<: {d: 1}, d: 2}\n", 3, "first in line 2"),
    "a list that is not closed": ("a: 1\nb: [1\n", 2, "the YAML cannot be read at column 1"),
}


@pytest.mark.parametrize(("text", "line", "says"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_no_file_may_hold_is_told_with_its_line(path: Path, text: str, line: int, says: str):
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        read_positions(path)
    assert time.process_time() - started < 2
    assert says in str(caught.value)
    assert f"set in: value.yaml:{line}\n" in f"{caught.value}\n"


def test_several_wrong_scalars_are_told_together(path: Path):
    path.write_text("a: 010\nb: !!int x\nc: {d: 007}\n")
    with pytest.raises(SpecError) as caught:
        read_yaml(path)
    assert [problem.origin.line for problem in caught.value.problems if problem.origin] == [1, 2, 3]


def test_what_was_saved_passes_the_same_gate(path: Path):
    path.write_text("spec_version: 1\n" + laughs(9))
    with pytest.raises(RunError, match=r"value.yaml is damaged: the aliases of the file stand for more than 1,000 values"):
        load_resolved(path)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
        (b"---\na: 1\n", {"a": 1}),
        (b"%YAML 1.1\n---\na: 1\n...\n", {"a": 1}),
        (b"\xef\xbb\xbf---\r\na: 1\r\nb: [1,\r\n 2]\r\n", {"a": 1, "b": [1, 2]}),
        (b"a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        (b"a: ! 010\nb: !!str 3\nc: '010'\n", {"a": "010", "b": "3", "c": "010"}),
    ],
    ids=["a mark", "a document's begin", "a directive", "Windows", "aliases", "text by a tag"],
)
def test_what_editors_write_is_read(path: Path, content: bytes, value: object):
    path.write_bytes(content)
    assert read_yaml(path) == value


@pytest.mark.parametrize(
    ("content", "line"), [(b"a: 1\nb: \xff\n", 2), ("a: 1\n".encode("utf-16"), 1)], ids=["a byte", "Windows' other encoding"]
)
def test_what_is_no_utf_8_is_told_with_its_line(path: Path, content: bytes, line: int):
    path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"(?s)not written in UTF-8.*value.yaml:{line}"):
        read_yaml(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(path: Path):
    os.mkfifo(path)
    with pytest.raises(SpecError, match=r"the file cannot be read"):
        read_yaml(path)


def test_a_caller_may_change_what_was_read(path: Path):
    path.write_text("a: {b: [1]}\n")
    read_yaml(path)["a"]["b"].append(2)
    assert read_yaml(path) == {"a": {"b": [1]}}
