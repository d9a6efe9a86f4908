"""The tutorial's own pairs and the tutorial's own numbers."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from framework.config.compose import compose
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec
from framework.spec.validate import valid_section


@pytest.fixture(scope="module")
def folder(published_data: Path) -> Path:
    if not (published_data / "translation" / "spa-eng" / "spa-eng.zip").is_file():
        pytest.skip("translation/spa-eng/spa-eng.zip is missing")
    return published_data


def spec_of(*overrides: str) -> ParallelTextDataSpec:
    section = valid_section(compose(["recipe=text_generation", *overrides]).mapping, "data")
    assert isinstance(section, ParallelTextDataSpec)
    return section


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def prepared(folder: Path, cache: Path, *overrides: str) -> PreparedData:
    return prepare(spec_of(*overrides), PathsSpec(data_dir=str(folder), cache_dir=str(cache)), 0)


@pytest.fixture(scope="module")
def tutorial(folder: Path, cache: Path) -> PreparedData:
    return prepared(folder, cache, "data=spa_eng")


def pairs_as_the_tutorial_cleans_them(folder: Path) -> list[tuple[str, str]]:
    """(Spanish, English) of the first 30,000 lines, written after the notebook's description alone."""

    def clean(text: str) -> str:
        text = "".join(one for one in unicodedata.normalize("NFD", text.lower().strip()) if unicodedata.category(one) != "Mn")
        text = re.sub("[^a-zA-Z?.!,¿]+", " ", re.sub(r"([?.!,¿])", r" \1 ", text))
        return re.sub(" +", " ", text).strip()

    with zipfile.ZipFile(folder / "translation" / "spa-eng" / "spa-eng.zip") as archive:
        lines = archive.read("spa-eng/spa.txt").decode("utf-8").split("\n")[:30_000]
    return [(clean(spanish), clean(english)) for english, spanish in (line.split("\t") for line in lines)]


def sentences(data: PreparedData, part: str) -> list[tuple[str, str]]:
    """The pairs of a part as its batches hold them, decoded."""
    processor, found = data.processor, []
    for batch in data.splits[part].epoch(0):
        for source, target in zip(batch.inputs["source"], batch.targets, strict=True):
            found.append((processor.source.decode(source), processor.decode_target(target)))
    return found


def test_numbers_of_the_tutorial(tutorial: PreparedData) -> None:
    assert tutorial.sizes == {"source": 9_414, "target": 4_935}
    assert tutorial.figures == {"source_length": 16.0, "target_length": 11.0}
    assert tutorial.train.steps == 375
    assert {part: sum(batch.rows for batch in batches.epoch(0)) for part, batches in tutorial.splits.items()} == {
        "train": 24_000,
        "validation": 6_000,
    }
    words = tutorial.processor.source.vocabulary
    assert [words.name(number) for number in range(5)] == ["<pad>", "<start>", "<end>", ".", "tom"]


def test_a_batch_is_as_the_tutorials(tutorial: PreparedData) -> None:
    batch = next(tutorial.train.epoch(0))
    assert {name: array.shape for name, array in batch.inputs.items()} == {"source": (64, 16), "target": (64, 10)}
    assert batch.targets.shape == (64, 10) and batch.weights is not None
    assert np.array_equal(batch.inputs["target"][:, 1:], batch.targets[:, :-1])
    assert np.array_equal(batch.weights, batch.targets != 0)
    assert (batch.inputs["source"][:, 0] == 1).all() and (batch.inputs["target"][:, 0] == 1).all()


def test_both_parts_together_are_the_tutorials_sentences(tutorial: PreparedData, folder: Path) -> None:
    found = sentences(tutorial, "train") + sentences(tutorial, "validation")
    assert sorted(found) == sorted(pairs_as_the_tutorial_cleans_them(folder))
    train, validation = set(sentences(tutorial, "train")), sentences(tutorial, "validation")
    assert not train & set(validation)
    sources = {source for source, _ in train}
    assert 0.08 < np.mean([source in sources for source, _ in validation]) < 0.16, "the tutorial's split knows its sources"


def test_words_are_numbered_as_keras_tokenizer_numbers_them(tutorial: PreparedData, folder: Path) -> None:
    counts: dict[str, int] = {}
    for spanish, _ in pairs_as_the_tutorial_cleans_them(folder):
        for word in f"<start> {spanish} <end>".split():
            counts[word] = counts.get(word, 0) + 1
    by_frequency = sorted(counts, key=lambda word: -counts[word])
    vocabulary = tutorial.processor.source.vocabulary
    assert [vocabulary.name(number) for number in range(1, vocabulary.size)] == by_frequency


def test_the_tutorials_probe_sentences(tutorial: PreparedData) -> None:
    processor = tutorial.processor
    assert processor.source_tokens("¿Todavía están en casa?") == ["¿", "todavia", "estan", "en", "casa", "?"]
    rows = processor.encode_source(["hace mucho frio aqui.", "esta es mi vida.", "¿todavia estan en casa?", "trata de averiguarlo."])
    assert rows.shape == (4, 16) and not rows[:, 8:].any() and rows.dtype == np.int32
    assert [processor.source.decode(row) for row in rows][1] == "esta es mi vida ."


@pytest.mark.slow
def test_grouped_parts_share_no_source(folder: Path, cache: Path) -> None:
    data = prepared(folder, cache, "data=spa_eng_grouped")
    parts = {part: {source for source, _ in sentences(data, part)} for part in data.splits}
    assert {part: sum(batch.rows for batch in data.splits[part].epoch(0)) for part in parts} == {
        "train": 24_000,
        "validation": 3_000,
        "test": 3_000,
    }
    raw = {part: {data.processor.source.cleaning(one.inputs["source"]) for one in data.examples[part]} for part in parts}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not raw[one] & raw[other]
    assert not parts["train"] & {source for source in parts["test"] if "[UNK]" not in source}
    assert data.processor.sizes["source"] < 9_414
    tested = np.concatenate([batch.inputs["source"].ravel() for batch in data.split("test").epoch(0)])
    assert 0.01 < np.mean(tested[tested > 2] == 3) < 0.05
    assert max(len(example.references) for example in data.examples["test"]) > 3


def test_it_is_prepared_only_once(folder: Path, cache: Path, tutorial: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.data.parallel.cache.build", None)
    again = prepared(folder, cache, "data=spa_eng", "data.batch_size=32")
    assert again.train.steps == 750 and again.digest != tutorial.digest
    assert prepared(folder, cache, "data=spa_eng").digest == tutorial.digest


@pytest.mark.slow
def test_the_later_versions_vocabularies(folder: Path, cache: Path) -> None:
    data = prepared(folder, cache, "data=spa_eng_later")
    assert data.sizes == {"source": 5_000, "target": 5_000}
    assert data.train.steps == (118_964 - 23_793) // 64 and sum(batch.rows for batch in data.split("validation").epoch(0)) == 23_793
    assert data.processor.source_tokens("It's 2:30, ¿está aquí?") == ["its", ",", "¿", "esta", "aqui", "?"]
    vocabulary = data.processor.target.vocabulary
    assert [vocabulary.name(number) for number in range(3, 8)] == ["[UNK]", ".", "the", "i", "to"]
