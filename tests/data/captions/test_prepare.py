"""From files in every form to images, captions, parts, batches and examples."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from framework.data.captions.processor import CaptionsProcessor
from framework.data.prepared import PreparedData
from framework.errors import DataError, InputError
from framework.spec.captions import CaptionsDataSpec

from .conftest import PATCHES, Prepare, fill, picture, pictures, table, zipped

RED_BLUE = {"a.png": picture("red"), "b.png": picture("blue")}
TWO = "image\tcaption\na.png\tA red one.\nb.png\tone blue\na.png\tred!\n"


def raw(data: PreparedData, part: str = "train") -> list[tuple[str, tuple[Any, ...]]]:
    return [(Path(str(one.inputs["image"])).name, one.references) for one in data.examples[part]]


def coco(split: bool = False) -> str:
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    if split:
        images = [{**one, "split": part} for one, part in zip(images, ("train", "val"), strict=True)]
    annotations = [
        {"image_id": 7, "id": 1, "caption": "A red one."},
        {"image_id": 8, "id": 2, "caption": "one blue"},
        {"image_id": 7, "id": 3, "caption": "red!"},
    ]
    return json.dumps({"images": images, "annotations": annotations})


def test_a_batch_and_its_examples(prepare_captions: Prepare) -> None:
    data = prepare_captions(TWO, RED_BLUE, seed=None)
    [batch] = data.train.epoch(0)
    words = data.processor.target.vocabulary
    assert [data.processor.decode_target(row) for row in batch.targets] == ["a red one .", "one blue", "red !"]
    assert batch.inputs["target"][:, 0].tolist() == [1, 1, 1] and batch.inputs["target"].dtype == np.int32
    assert batch.weights is not None and batch.weights.sum() == 5 + 3 + 3 and words.size == 4 + 6
    image = batch.inputs["image"]
    assert image.shape == (3, 4, 12) and image.dtype == np.float32
    assert_array_equal(image[0].reshape(-1, 3), [[1, 0, 0]] * 16)
    assert_array_equal(image[1].reshape(-1, 3), [[0, 0, 1]] * 16)
    assert_array_equal(image[2], image[0])
    assert raw(data) == [("a.png", ("A red one.", "red!")), ("b.png", ("one blue",))]
    assert data.sizes == {"target": 10, "places": 4, "features": 12}
    assert data.figures == {"target_length": 6.0, "images": 2.0, "captions": 3.0} and data.tokens == 8


def test_the_same_captions_from_files_in_every_form(prepare_captions: Prepare, tmp_path: Path) -> None:
    flickr = "a.png#0\tA red one.\nb.png#0\tone blue\na.png#1\tred!\n"
    lines = TWO.replace("\t", ",")
    for name, content in {
        "c.tsv.gz": gzip.compress(TWO.encode()),
        "c.csv": b'caption,x,image\n"A red one.",1,a.png\none blue,2,b.png\nred!,3,a.png\n',
        "c.txt": lines.encode(),
        "c.json": coco().encode(),
        "Flickr8k.token.txt": flickr.encode(),
        "c.zip": zipped({"x/other.json": b"{}", "x/c.json": coco().encode()}),
        "images.zip": zipped({f"deep/{name}": content for name, content in RED_BLUE.items()}),
        "half.zip": zipped({"b.png": RED_BLUE["b.png"]}),
    }.items():
        (tmp_path / name).write_bytes(content)
    first = prepare_captions(TWO, RED_BLUE)
    found = {prepare_captions(captions_path=str(tmp_path / name), images=RED_BLUE).digest for name in ("c.tsv.gz", "c.csv", "c.txt")}
    found |= {prepare_captions(captions_path=str(tmp_path / name), images=RED_BLUE).digest for name in ("c.json", "Flickr8k.token.txt")}
    found.add(prepare_captions(captions_path=str(tmp_path / "c.zip"), member="x/c.json", format="coco", images=RED_BLUE).digest)
    packed = prepare_captions(TWO, images_path=str(tmp_path / "images.zip"))
    found.add(packed.digest)
    fill(tmp_path / "half", {"a.png": RED_BLUE["a.png"]})
    found.add(prepare_captions(TWO, images_path=[str(tmp_path / "half.zip"), str(tmp_path / "half")]).digest)
    assert found == {first.digest}
    assert packed.examples["train"][0].inputs["image"] == RED_BLUE["a.png"]


def test_parts_as_the_file_says(prepare_captions: Prepare) -> None:
    text = "split\timage\tcaption\ntrain\ta.png\tred\ndev\tb.png\tblue\n"
    for data in (prepare_captions(text, RED_BLUE), prepare_captions(coco(split=True), RED_BLUE, name="c.json")):
        assert set(data.splits) == {"train", "validation"}
        assert [name for name, _ in raw(data, "validation")] == ["b.png"]
    drawn = prepare_captions(text, RED_BLUE, split={"by": "fractions"})
    assert set(drawn.splits) == {"train"}
    with pytest.raises(DataError, match=r"no part is called 'trian'\n(.*\n)*.*did you mean: train"):
        prepare_captions(text.replace("train", "trian"), RED_BLUE)
    with pytest.raises(DataError, match="it has no 'split'"):
        prepare_captions(TWO, RED_BLUE, split={"by": "column"})


def test_parts_as_lists_say(prepare_captions: Prepare, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("b.png\n")
    (tmp_path / "test.txt").write_text("0.png\n\n")
    parts = {"train": str(tmp_path / "train.txt"), "test": str(tmp_path / "test.txt")}
    data = prepare_captions(TWO + "0.png\twhat\n", {**RED_BLUE, **pictures(1)}, parts=parts)
    assert raw(data) == [("b.png", ("one blue",))] and raw(data, "test") == [("0.png", ("what",))]
    (tmp_path / "test.txt").write_text("b.png\n")
    with pytest.raises(DataError, match=r"data.parts.test: 'b.png' is in the list of the part train too"):
        prepare_captions(TWO, RED_BLUE, parts=parts)


def test_no_image_is_in_two_parts_unless_asked_for(prepare_captions: Prepare) -> None:
    settings: dict[str, Any] = {"validation_fraction": 0.25, "test_fraction": 0.25}
    data = prepare_captions(table(40), pictures(40), **settings)
    parts = [{name for name, _ in raw(data, part)} for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [20, 10, 10] and not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert {len(one[1]) for part in data.splits for one in raw(data, part)} == {2}
    again = prepare_captions(table(40), pictures(40), **settings, split={"seed": 1})
    assert {name for name, _ in raw(again)} != parts[0]
    leaky = prepare_captions(table(40), pictures(40), **settings, split={"group_by": "none"})
    names = [{name for name, _ in raw(leaky, part)} for part in ("train", "validation")]
    assert names[0] & names[1] and sum(batch.rows for batch in leaky.split("validation").epoch(0)) == 20
    assert {len(one[1]) for one in raw(leaky, "validation")} == {2}, "all captions of an image are right"


def test_a_sample_of_images_or_of_captions(prepare_captions: Prepare) -> None:
    assert [name for name, _ in raw(prepare_captions(table(20), pictures(20), max_images=3))] == ["0.png", "1.png", "2.png"]
    drawn = prepare_captions(table(20), pictures(20), max_images=3, sample_seed=1)
    assert len(raw(drawn)) == 3 and [name for name, _ in raw(drawn)] != ["0.png", "1.png", "2.png"]
    captions = prepare_captions(table(20), pictures(20), max_captions=5)
    assert [len(references) for _, references in raw(captions)] == [2, 2, 1]


def test_every_caption_once_an_epoch_whatever_the_order(prepare_captions: Prepare) -> None:
    for settings in ({}, {"order": "buckets"}, {"order": "buckets", "batch_tokens": 30}, {"pad_to": "longest"}):
        data = prepare_captions(table(10, 5), pictures(10), **settings)
        found = [data.processor.decode_target(row) for batch in data.train.epoch(1) for row in batch.targets]
        assert len(found) == 50 and sorted(set(found)) == sorted({data.processor.clean_target(one) for _, r in raw(data) for one in r})
        repeated = [batch.targets.tobytes() for batch in data.train.epoch(1)]
        assert repeated == [batch.targets.tobytes() for batch in data.train.epoch(1)]
        assert repeated[2:] == [batch.targets.tobytes() for batch in data.train.epoch(1, start=2)]


def test_each_caption_goes_with_its_own_image(prepare_captions: Prepare) -> None:
    data = prepare_captions(table(20), pictures(20))
    seen = {batch.inputs["image"][row].tobytes(): data.processor.decode_target(batch.targets[row]).split()[1]
            for batch in data.train.epoch(0) for row in range(batch.rows)}  # fmt: skip
    photos = data.processor.encode_images([one.inputs["image"] for one in data.examples["train"]])
    for photo, example in zip(photos, data.examples["train"], strict=True):
        assert seen[photo.tobytes()] == example.references[0].split()[1]


def test_ready_made_features(prepare_captions: Prepare, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
    np.save(tmp_path / "features.npy", values)
    (tmp_path / "features.txt").write_text("c.png\nb.png\na.png\n")
    features = {"kind": "file", "path": str(tmp_path / "features.npy")}
    data = prepare_captions(TWO, features=features, seed=None)
    [batch] = data.train.epoch(0)
    assert_array_equal(batch.inputs["image"], values[[2, 1, 2]])
    assert data.sizes["places"] == 5 and raw(data)[0][0] == "a.png"
    with pytest.raises(InputError, match="trained on features from a file"):
        data.processor.encode_images([b""])
    (tmp_path / "moved.npy").write_bytes((tmp_path / "features.npy").read_bytes())
    moved = {"kind": "file", "path": str(tmp_path / "moved.npy"), "names_path": str(tmp_path / "features.txt")}
    assert prepare_captions(TWO, features=moved).digest == prepare_captions(TWO, features=features).digest
    for spoil, message in {"c.png\nb.png\n": "holds 2 names", "b.png\nb.png\na.png\n": "holds a name twice"}.items():
        (tmp_path / "features.txt").write_text(spoil)
        with pytest.raises(DataError, match=message):
            prepare_captions(TWO, features=features)
    (tmp_path / "features.npy").write_bytes(b"PK no such thing")
    with pytest.raises(DataError, match="is no NumPy file"):
        prepare_captions(TWO, features=features)


def test_a_processor_travels_and_numbers_other_captions(prepare_captions: Prepare, tmp_path: Path) -> None:
    data = prepare_captions(TWO, RED_BLUE)
    data.processor.save(tmp_path / "run")
    loaded = CaptionsProcessor.load(tmp_path / "run")
    assert loaded == data.processor and loaded.store is None and loaded.digest == data.processor.digest
    assert prepare_captions(TWO, RED_BLUE, processor=loaded).digest == data.digest
    photos = [RED_BLUE["a.png"], tmp_path / "images" / "b.png"]
    assert_allclose(loaded.encode_images(photos), data.processor.encode_images(photos))
    other = prepare_captions("image\tcaption\n0.png\ta green one\n", pictures(1), processor=loaded, seed=None)
    assert other.processor.decode_target(next(other.train.epoch(0)).targets[0]) == "a [UNK] one"
    with pytest.raises(DataError, match=r"image 1 cannot be used: it is no image"):
        loaded.encode_images([b"text"])
    with pytest.raises(DataError, match=r"nowhere.png' cannot be read: No such file"):
        loaded.encode_images([tmp_path / "nowhere.png"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: {**content, "processor_version": 9}, "newer than this Gatework's"),
        (lambda content: {**content, "shape": [4]}, r"its shape is \[4\]"),
        (lambda content: {**content, "features": {"kind": "nothing"}}, "there is no kind 'nothing'"),
        (lambda content: {**content, "target": 3}, "their 'target' is no mapping"),
        (lambda content: [], "they are not Gatework's"),
    ],
)
def test_a_spoilt_processor_is_refused(prepare_captions: Prepare, tmp_path: Path, spoil: Any, message: str) -> None:
    prepare_captions(TWO, RED_BLUE).processor.save(tmp_path)
    file = tmp_path / "captions.json"
    file.write_text(json.dumps(spoil(json.loads(file.read_text()))))
    with pytest.raises(DataError, match=message):
        CaptionsProcessor.load(tmp_path)


def test_sizes_and_lengths_that_are_known_without_reading(prepare_captions: Prepare) -> None:
    spec = CaptionsDataSpec(
        captions_path="x", images_path="y", features=PATCHES, declared_sizes={"target": 10}, declared_lengths={"target": 6}
    )
    data = prepare_captions(TWO, RED_BLUE, declared_sizes={"target": 10}, declared_lengths={"target": 6}, seed=None)
    assert spec.known_sizes() == data.sizes
    inputs = next(data.train.epoch(0)).inputs
    assert spec.known_lengths() == {name: value.shape[1] for name, value in inputs.items()}
    with pytest.raises(DataError, match=r"the data's size 'target' is 10, but 11 by the config"):
        prepare_captions(TWO, RED_BLUE, declared_sizes={"target": 11})
    with pytest.raises(DataError, match=r"the longest target has 6 tokens, but 7 by the config"):
        prepare_captions(TWO, RED_BLUE, declared_sizes={"target": 10}, declared_lengths={"target": 7})
