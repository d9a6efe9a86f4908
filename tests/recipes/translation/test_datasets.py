"""The recipe's other data sets: dates without a download, and Multi30k from its own files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from framework.config.compose import compose
from framework.data.corpus import CORPORA
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.errors import DataError
from framework.spec.experiment import PathsSpec
from framework.spec.validate import valid_section


def prepared(cache: Path, folder: Path | None, *overrides: str) -> PreparedData:
    spec = valid_section(compose(["recipe=text_generation", *overrides]).mapping, "data")
    return prepare(spec, PathsSpec(data_dir=str(folder) if folder else None, cache_dir=str(cache)), 0)


def test_dates_need_no_download(tmp_path: Path) -> None:
    pytest.importorskip("babel")
    lines = list(CORPORA.named("dates")())
    assert lines == list(CORPORA.named("dates")()) and len(set(lines)) == 10_000
    assert all(re.fullmatch(r"[\w,\sé]+\t[\w,\s]+\n", line) for line in lines)
    sources = {line.split("\t")[0] for line in lines}
    assert len(sources) == 10_000
    data = prepared(tmp_path, None, "data=dates")
    assert {part: len(examples) for part, examples in data.examples.items()} == {"train": 8_000, "validation": 1_000, "test": 1_000}
    assert data.sizes["source"] < 200 and data.figures["source_length"] < 12
    assert data.source == "corpus dates"


@pytest.fixture
def multi30k(published_data: Path) -> Path:
    if not (published_data / "translation" / "multi30k" / "train.de.gz").is_file():
        pytest.skip("translation/multi30k is missing")
    return published_data


def test_multi30k_has_its_own_parts(multi30k: Path, tmp_path: Path) -> None:
    data = prepared(tmp_path, multi30k, "data=multi30k")
    pairs = {part: sum(batch.rows for batch in batches.epoch(0)) for part, batches in data.splits.items()}
    assert pairs == {"train": 29_000, "validation": 1_014, "test": 1_000}
    assert data.sizes == {"source": 7_856, "target": 5_976}
    first = data.examples["test"][0]
    assert first.inputs == {"source": "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."}
    assert first.references == ("A man in an orange hat starring at something.",)
    assert len(data.examples["test"]) == 1_000
    assert data.processor.source_tokens(first.inputs["source"])[-4:] == ["der", "etwas", "anstarrt", "."]


def test_without_its_files_and_a_network_the_offline_pairs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWORK_DATA", raising=False)

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", unreachable)
    for choice, file in (("multi30k", "train.de.gz"), ("spa_eng", "spa-eng.zip")):
        with pytest.raises(DataError, match=rf"{re.escape(file)}' is neither in .*(.|\n)*no network(.|\n)*data=dates needs no download"):
            prepared(tmp_path, None, f"data={choice}")


def test_an_archive_with_another_text_is_refused(tmp_path: Path) -> None:
    import zipfile

    file = tmp_path / "translation" / "spa-eng" / "spa-eng.zip"
    file.parent.mkdir(parents=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("spa-eng/spa.txt", "Go.\tVe.\n")
    with pytest.raises(DataError, match=r"data.download.sha256: checksum of '.*spa-eng.zip/spa-eng/spa.txt' differs"):
        prepared(tmp_path / "cache", tmp_path, "data=spa_eng")
