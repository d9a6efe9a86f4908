from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from framework.config.yaml_file import read_positions, read_yaml
from framework.config.yaml_text import inline, write_yaml

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30).filter(lambda text: "${" not in text and "???" not in text)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, PLAIN, max_size=4))
@example({"a": "1e-3", "b": "1_0", "c": "2020-01-01", "d": "null", "e": "on", "f": "", "g": " ", "h": "a\nb\n", "i": "#", "j": ".5e+3"})
@example({"a": 1e-7, "b": math.inf, "c": -0.0, "d": 10**40, "e": 1e22})
def test_what_is_written_is_read_back_here_and_by_omegaconf(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]):
    text = write_yaml(value)
    path = tmp_path_factory.getbasetemp() / "value.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_yaml(path) == value
    assert OmegaConf.to_container(OmegaConf.load(path), resolve=False) == value
    assert write_yaml(read_yaml(path)) == text


@pytest.mark.parametrize(
    "text",
    [
        "1e-3",
        "1E5",
        "1e5",
        "-1.5e-3",
        ".5",
        "1.",
        "1_000.5",
        ".inf",
        ".nan",
        "0x1f",
        "0o7",
        "2020-01-01",
        "True",
        "~",
        "1_000",
        "+3",
        "1e",
        "e3",
    ],
)
def test_scalars_mean_what_omegaconf_says(tmp_path: Path, text):
    path = tmp_path / "value.yaml"
    path.write_text(f"x: {text}\n")
    ours, theirs = read_yaml(path)["x"], OmegaConf.load(path)["x"]
    assert type(ours) is type(theirs)
    assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


@pytest.mark.parametrize("text", ["1:30", "1:30.5", "yes", "No", "on", "OFF", "=", "1_", "0x_", "0b", "1._5", "08:15:00", "+", "."])
def test_what_only_yaml_1_1_takes_for_something_else_is_the_text_that_stands_there(tmp_path: Path, text):
    path = tmp_path / "value.yaml"
    path.write_text(f"{text}: {text}\n")
    assert read_yaml(path) == {text: text}
    path.write_text(write_yaml({text: text}))
    assert OmegaConf.to_container(OmegaConf.load(path)) == {text: text}


def test_keys_are_text_as_it_is_written_or_whole_numbers(tmp_path: Path):
    path = tmp_path / "value.yaml"
    path.write_text("true: 1\nnull: 2\n1.50: 3\n~: 4\n7: 5\n'8': 6\n")
    assert read_yaml(path) == {"true": 1, "null": 2, "1.50": 3, "~": 4, 7: 5, "8": 6}


def test_block_style_in_the_order_given():
    assert write_yaml({"b": 1, "a": {"d": [1, {"x": None}], "c": "two\nlines\n"}, "s": "${size:tokens}"}) == (
        "b: 1\na:\n  d:\n  - 1\n  - x: null\n  c: |\n    two\n    lines\ns: ${size:tokens}\n"
    )


def test_inline():
    assert inline({"a": [1, "x"], "b": "${size:tokens}"}) == "{a: [1, x], b: '${size:tokens}'}"
    assert inline("text") == "text"
    assert inline(None) == "null"
    assert inline("3") == "'3'"


def test_positions(tmp_path: Path):
    path = tmp_path / "value.yaml"
    path.write_text("# first\na: 1\nb:\n  c: [1,\n      2]\n  d:\n    - x\n    - y: 3\n")
    root = read_positions(path)
    assert root.value == {"a": 1, "b": {"c": [1, 2], "d": ["x", {"y": 3}]}}
    assert root.children["a"].line == 2
    b = root.children["b"]
    assert (b.line, b.is_mapping) == (3, True)
    assert [b.children["c"].children[index].line for index in "01"] == [4, 5]
    assert (b.children["d"].line, b.children["d"].is_mapping) == (6, False)
    assert b.children["d"].children["1"].children["y"].line == 8


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path):
    path = tmp_path / "value.yaml"
    path.write_text("# nothing\n")
    assert read_positions(path).value == {}
    assert read_positions(path).is_mapping
    assert read_yaml(path) == {}
