"""From files in every form to pairs, vocabularies and examples; prepared once for the same texts and settings."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from framework.data.parallel import cache
from framework.data.prepared import PreparedData
from framework.data.sentences.tokens import UnknownWords
from framework.errors import DataError
from framework.spec.parallel_text import ParallelTextDataSpec

from .conftest import Prepare, numbered
from .test_batches import pairs_of

LINES = ["Hola.\tHello.\tCC-BY 2.0", "Hola.\tHi!", "hola .\tHey.", "Adiós\tBye"]


def raw(data: PreparedData, part: str = "train") -> list[tuple[str, tuple[Any, ...]]]:
    return [(one.inputs["source"], one.references) for one in data.examples[part]]


def zipped(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.txt", text)
    return packed.getvalue()


def test_columns_and_all_translations_of_a_sentence(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(LINES)
    assert raw(data) == [("Hola.", ("Hello.", "Hi!", "Hey.")), ("Adiós", ("Bye",))]
    assert len(data.examples["train"]) == 2 and data.examples["train"][1].inputs == {"source": "Adiós"}
    assert [one.references for one in data.examples["train"][:1]] == [("Hello.", "Hi!", "Hey.")]
    turned = prepare_pairs(LINES, source_column=2, target_column=1)
    assert raw(turned)[0] == ("Hello.", ("Hola.",)) and turned.sizes == {"source": 4 + 6, "target": 4 + 3}
    assert data.sizes == {"source": 4 + 3, "target": 4 + 6}


def test_the_same_pairs_from_files_in_every_form(prepare_pairs: Prepare, tmp_path: Path) -> None:
    lines = numbered(20)
    text = "".join(f"{line}\n" for line in lines)
    sides = ["".join(f"{line.split(chr(9))[side]}\n" for line in lines) for side in (0, 1)]
    for name, content in {
        "bom.tsv": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "packed.tsv.gz": gzip.compress(text.encode()),
        "one.zip": zipped(a=text),
        "two.zip": zipped(a="b\n", c=text),
        "es.txt": sides[0].rstrip("\n").encode(),
        "en.txt.gz": gzip.compress(sides[1].encode()),
        "utf16.tsv": text.encode("utf-16"),
    }.items():
        (tmp_path / name).write_bytes(content)
    forms: list[dict[str, Any]] = [
        {"path": str(tmp_path / "bom.tsv")},
        {"path": str(tmp_path / "packed.tsv.gz")},
        {"path": str(tmp_path / "one.zip")},
        {"path": str(tmp_path / "two.zip"), "member": "c.txt"},
        {"source_path": str(tmp_path / "es.txt"), "target_path": str(tmp_path / "en.txt.gz")},
        {"path": str(tmp_path / "utf16.tsv"), "encoding": "utf-16"},
    ]
    found = {prepare_pairs(**form).digest for form in forms}
    assert found == {prepare_pairs(lines).digest}


def test_parts_with_files_of_their_own(prepare_pairs: Prepare, tmp_path: Path) -> None:
    (tmp_path / "val.es").write_text("uno nuevo\ndos\n")
    (tmp_path / "val.en").write_text("one new\ntwo\n")
    (tmp_path / "test.tsv").write_text("uno\tONE\nuno\tThe one\n")
    data = prepare_pairs(
        ["uno\tone", "dos\ttwo"],
        batch_size=2,
        validation={"source_path": str(tmp_path / "val.es"), "target_path": str(tmp_path / "val.en")},
        test={"path": str(tmp_path / "test.tsv")},
    )
    assert {part: raw(data, part) for part in data.splits} == {
        "train": [("uno", ("one",)), ("dos", ("two",))],
        "validation": [("uno nuevo", ("one new",)), ("dos", ("two",))],
        "test": [("uno", ("ONE", "The one"))],
    }
    assert [one[0] for one in pairs_of(data, list(data.split("validation").epoch(0)))] == ["uno [UNK]", "dos"]
    assert data.source.count(str(tmp_path)) == 4


def test_translations_of_a_drawn_sentence_are_right_wherever_they_lie(prepare_pairs: Prepare) -> None:
    lines = [f"casa {row % 20}\thouse {row}" for row in range(100)]
    settings = {"validation_fraction": 0.2, "split": {"group_by": "none"}, "vocabulary": {"fit_on": "all"}}
    examples = prepare_pairs(lines, **settings).examples["validation"]
    assert {len(one.references) for one in examples} == {5}


def test_words_of_the_training_part_or_of_all(prepare_pairs: Prepare) -> None:
    lines = numbered(100)
    sizes = {}
    for fit_on in ("train", "all"):
        data = prepare_pairs(lines, validation_fraction=0.5, vocabulary={"fit_on": fit_on})
        sizes[fit_on] = data.sizes["source"]
        unknown = [pair for pair in pairs_of(data, list(data.split("validation").epoch(0))) if "[UNK]" in pair[0]]
        assert len(unknown) == (50 if fit_on == "train" else 0)
    assert sizes == {"train": 4 + 10 + 50, "all": 4 + 10 + 100}


def test_one_vocabulary_for_both_languages(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(["a b\tb c", "a\td"], batch_size=2, vocabulary={"shared": True})
    assert data.sizes == {"source": 8, "target": 8} and data.processor.source == data.processor.target


def test_each_side_can_be_cleaned_its_own_way(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(["ÁB.\tÁB."] * 4, cleaning=[], source_cleaning="tf_tutorial", target_cleaning=["lower"])
    assert pairs_of(data, list(data.train.epoch(0)))[0] == ("ab .", "áb.")


def test_subwords(prepare_pairs: Prepare) -> None:
    lines = numbered(300)
    data = prepare_pairs(lines, validation_fraction=0.1, vocabulary={"kind": "subword", "max_size": 60})
    again = prepare_pairs(lines, validation_fraction=0.1, vocabulary={"kind": "subword", "max_size": 60}, processor=data.processor)
    assert again.digest == data.digest
    pairs = [pair for split in data.splits.values() for pair in pairs_of(data, list(split.epoch(0)))]
    assert sorted(pairs) == sorted(tuple(line.split("\t")) for line in lines)


def test_the_start_of_a_file_can_be_used(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(numbered(100), max_pairs=10)
    assert len(raw(data)) == 10 and raw(data)[9][0].endswith(" 9")


def test_the_same_texts_and_settings_are_prepared_once(prepare_pairs: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Path] = []
    build = cache.build
    monkeypatch.setattr(cache, "build", lambda folder, *rest: (made.append(folder), build(folder, *rest)))
    first = prepare_pairs(numbered(30))
    assert prepare_pairs(numbered(30)).digest == first.digest and len(made) == 1
    prepare_pairs(numbered(30), batch_size=2)
    prepare_pairs(numbered(30), processor=first.processor)
    assert len(made) == 1
    prepare_pairs(numbered(31))
    prepare_pairs(numbered(30), cleaning=[])
    assert len(made) == 3
    other = prepare_pairs(numbered(30), processor=prepare_pairs(numbered(31)).processor)
    assert len(made) == 4 and other.sizes["source"] == first.sizes["source"] + 1 and other.digest != first.digest
    assert not [one for one in (tmp_path / "cache" / "pairs").iterdir() if one.name.startswith(".part-")]


def test_a_half_store_is_made_anew(prepare_pairs: Prepare, tmp_path: Path) -> None:
    first = prepare_pairs(numbered(30))
    [store] = (tmp_path / "cache" / "pairs").iterdir()
    for spoil in ("source.tokens", "pairs.json", "sentences.json"):
        (store / spoil).write_bytes((store / spoil).read_bytes()[:-3])
        assert prepare_pairs(numbered(30)).digest == first.digest


def test_a_cache_that_cannot_be_written_is_named(prepare_pairs: Prepare, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"paths.cache_dir: '.*/cache/pairs' cannot be written"):
        prepare_pairs(numbered(30))


def test_a_trained_models_words_number_other_pairs(prepare_pairs: Prepare) -> None:
    known = prepare_pairs(numbered(30)).processor
    data = prepare_pairs(["uno nuevo\tone new"], seed=None, processor=known)
    assert pairs_of(data, list(data.train.epoch(0))) == [("uno [UNK]", "one [UNK]")]
    strict = prepare_pairs(numbered(30), vocabulary={"unknown": "error"}).processor
    with pytest.raises(UnknownWords, match="the vocabulary lacks the word 'nuevo'"):
        prepare_pairs(["uno nuevo\tone new"], seed=None, processor=strict)


def test_declared_sizes_are_held_against_the_real_ones(prepare_pairs: Prepare) -> None:
    assert prepare_pairs(LINES, declared_sizes={"source": 7}).sizes["source"] == 7
    with pytest.raises(DataError, match=r"the data's size 'source' is 7, but 8 by the config\n.*\n.*data.declared_sizes.source=7"):
        prepare_pairs(LINES, declared_sizes={"source": 8})


def test_declared_lengths_are_held_against_the_real_ones(prepare_pairs: Prepare) -> None:
    sizes = prepare_pairs(LINES).sizes
    figures = prepare_pairs(LINES).figures
    real = {side: int(figures[f"{side}_length"]) for side in ("source", "target")}
    data = prepare_pairs(LINES, declared_sizes=sizes, declared_lengths=real, pad_to="longest")
    batch = next(iter(data.train.epoch(0)))
    spec = ParallelTextDataSpec(path="x", declared_sizes=sizes, declared_lengths=real)
    assert {name: value.shape[1] for name, value in batch.inputs.items()} == spec.known_lengths()
    wrong = {**real, "target": real["target"] + 1}
    message = rf"data.declared_lengths.target: the longest target has {real['target']} tokens, but {wrong['target']} by the config"
    with pytest.raises(DataError, match=message):
        prepare_pairs(LINES, declared_sizes=sizes, declared_lengths=wrong)
    with pytest.raises(DataError, match=r"data.declared_sizes.source"):
        prepare_pairs(LINES, declared_sizes={**sizes, "source": 99}, declared_lengths=wrong)
    assert prepare_pairs(LINES, declared_lengths=wrong).sizes == sizes, "without sizes, lengths are of other data"
