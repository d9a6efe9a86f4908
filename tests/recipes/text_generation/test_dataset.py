from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from framework.data.corpus import CORPORA
from framework.data.prepare import prepare
from framework.errors import DataError
from framework.plugins import load_plugins
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec


@pytest.fixture
def dataset() -> ModuleType:
    assert load_plugins() == {}
    return sys.modules["framework.recipes.text_generation.dataset"]


def test_the_offline_text_is_ascii_at_most_a_megabyte_and_always_the_same(dataset: ModuleType) -> None:
    pieces = list(CORPORA.named("python_source")())
    assert len(pieces) == len(dataset.MODULES)
    text = "".join(pieces)
    assert text.isascii()
    assert 900_000 < len(text) <= 1_000_000
    assert text == "".join(CORPORA.named("python_source")())
    assert pieces[0] == Path(argparse.__file__).read_text(encoding="utf-8")
    assert all(piece.endswith("\n") for piece in pieces)


def test_it_trains_at_the_tutorials_size_without_network_or_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    data = prepare(TextDataSpec(corpus="python_source", validation_fraction=0.1), PathsSpec(), 0)
    assert data.source == "corpus python_source"
    assert data.train.steps > 100 and data.validation is not None and data.validation.steps > 10
    assert set("\n" + "".join(map(chr, range(32, 127)))) >= set(data.processor.vocabulary.tokens)


def test_lines_that_are_not_ascii_and_what_is_over_a_megabyte_are_left_out(
    dataset: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in dataset.MODULES:
        (tmp_path / f"{module}.py").write_text(f"# {module}\n# é\nx = 1\n", encoding="utf-8")
    monkeypatch.setattr(dataset.sysconfig, "get_path", lambda name: str(tmp_path))
    pieces = list(dataset.read_python_source())
    assert pieces == [f"# {module}\nx = 1\n" for module in dataset.MODULES]
    monkeypatch.setattr(dataset, "MOST", 30)
    assert "".join(dataset.read_python_source()) == "".join(pieces)[:30]


def test_a_python_without_its_sources_is_told(dataset: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match=r"corpus python_source: '.*argparse\.py' cannot be read .* data=text data\.path=FILE"):
        list(dataset.read_python_source())


def test_the_documentation_is_english_in_ascii_and_always_the_same() -> None:
    pieces = list(CORPORA.named("python_documentation")())
    text = "".join(pieces)
    assert text.isascii() and 600_000 < len(text) <= 1_000_001
    assert pieces == list(CORPORA.named("python_documentation")())
    assert len(set(pieces)) == len(pieces), "no paragraph twice"
    assert all(piece.count("\n") == 1 and piece.endswith("\n") for piece in pieces), "a paragraph a line"
    assert "Abstract Base Classes (ABCs) according to PEP 3119.\n" in pieces
    words = Counter(text.lower().split()).most_common(40)
    assert {"the", "of", "a", "to", "is", "and", "in"} <= {word for word, _ in words[:12]}


def test_documentation_stops_at_the_limit_and_needs_sources(dataset: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match=r"corpus python_documentation: '.*' cannot be read .* data=text data\.path=FILE"):
        list(dataset.read_python_documentation())
    sentence = "This sentence is as long as one has to be, and then some more."
    (tmp_path / "b.py").write_text(f'"""{sentence}\n\n{sentence}"""\n', encoding="utf-8")
    (tmp_path / "a.py").write_text(f'def f():\n    """Another one: {sentence}"""\n', encoding="utf-8")
    (tmp_path / "_c.py").write_text('"""A module whose name begins so differs from system to system."""\n', encoding="utf-8")
    assert list(dataset.read_python_documentation()) == [f"Another one: {sentence}\n", f"{sentence}\n"]
    monkeypatch.setattr(dataset, "MOST", 30)
    assert list(dataset.read_python_documentation()) == [f"Another one: {sentence}\n"]


def test_prose_is_whole_sentences_of_english(dataset: ModuleType) -> None:
    prose = sys.modules["framework.recipes.text_generation.prose"]
    documentation = """
    Return a copy of the list with the
        elements in another order.

    >>> reversed_copy([1, 2, 3]) and then some more words that are there

    * A point of a list may be a sentence that can be read, too.

    key_1  v_1  key_2  v_2  A table of names is not prose at all.

    Too short.

    it does not begin as a sentence does, although it is quite long.

    The caf\u00e9 of this sentence has a letter that is not in ASCII at all.
    """
    assert list(prose.prose_of(documentation)) == [
        "Return a copy of the list with the elements in another order.",
        "A point of a list may be a sentence that can be read, too.",
    ]
    with pytest.raises(SyntaxError):
        list(prose.docstrings_of("def ("))
