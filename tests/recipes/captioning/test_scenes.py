"""Scenes are what their captions say, the same each time, and can be told from their patches."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from framework.recipes.captioning.dataset import COLOURS, COUNT, FORMS, SIZE, Scenes, scene
from numpy.testing import assert_array_equal
from PIL import Image

from framework.config.location import shipped_configs
from framework.config.yaml_file import read_yaml
from framework.data.captions.corpus import CAPTION_CORPORA
from framework.data.prepare import prepare
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec
from framework.spec.problems import ProblemCollector

NAMES = [f"scene-{number:05d}.ppm" for number in range(0, COUNT, 40)]


def settings(name: str) -> CaptionsDataSpec:
    return CaptionsDataSpec.model_validate(read_yaml(shipped_configs() / "data" / f"{name}.yaml"))


def test_a_scene_is_what_its_captions_say() -> None:
    for name in NAMES:
        one = scene(name)
        pixels = np.asarray(Image.open(io.BytesIO(one.drawn())))
        assert pixels.shape == (SIZE, SIZE, 3)
        for shape in one.shapes:
            left, top, right, bottom = shape.box
            here = np.all(pixels == COLOURS[shape.colour], axis=2)
            inside = here[top:bottom, left:right]
            assert inside.any(axis=0).all() and inside.any(axis=1).all(), "the shape fills its box from side to side"
            share = inside.mean()
            bounds = {"square": (1.0, 1.0), "circle": (0.6, 0.95), "triangle": (0.35, 0.7), "cross": (0.35, 0.8)}[shape.form]
            assert bounds[0] <= share <= bounds[1]
        covered = np.any(pixels != one.background, axis=2)
        boxes = np.zeros_like(covered)
        for left, top, right, bottom in (shape.box for shape in one.shapes):
            boxes[top:bottom, left:right] = True
        assert not (covered & ~boxes).any()
        first, second = one.captions
        assert first.split() == str(one.shapes[0]).split() + (["left", "of"] if one.beside else ["above"]) + str(one.shapes[1]).split()
        assert second.startswith(str(one.shapes[1])) and ("right of" if one.beside else "below") in second
        (_, _, right, bottom), (left, top, _, _) = (shape.box for shape in one.shapes)
        assert right <= left if one.beside else bottom <= top


def test_scenes_are_the_same_each_time_and_differ() -> None:
    assert len({scene(name).drawn() for name in NAMES}) == len(NAMES)
    assert [scene(name) for name in NAMES] == [scene(name) for name in NAMES]
    shapes = [shape for name in NAMES for shape in scene(name).shapes]
    assert {shape.colour for shape in shapes} == set(COLOURS) and {shape.form for shape in shapes} == set(FORMS)
    assert scene("scene-00000.ppm").captions[0] == FIRST
    with pytest.raises(KeyError):
        scene("scene-99999.ppm")


FIRST = "a red cross above a blue cross"
"""What random numbers of Python give for the first scene; runs compare only while this stays."""


def test_the_corpus_is_found_by_name_and_prepared(tmp_path: Path) -> None:
    assert CAPTION_CORPORA.named("scenes").__name__ == Scenes.__name__
    spec = settings("scenes").model_copy(update={"max_images": 40, "validation_fraction": 0.25, "test_fraction": 0.25})
    data = prepare(spec, PathsSpec(cache_dir=str(tmp_path)), 0)
    batch = next(data.train.epoch(0))
    assert batch.inputs["image"].shape == (40, 16, 776) and spec.known_sizes() == {"places": 16, "features": 776}
    example = data.examples["test"][0]
    assert len(data.examples["test"]) == 10 and len(example.references) == 2
    image = data.processor.encode_images([example.inputs["image"]])[0]
    scenes = (scene(f"scene-{number:05d}.ppm") for number in range(40))
    shape = next(one for one in scenes if one.captions == example.references).shapes[0]
    place = shape.box[1] // 16 * 4 + shape.box[0] // 16
    patch = image[place, : 3 * 16 * 16].reshape(16, 16, 3)
    assert np.all(np.abs(patch - np.array(COLOURS[shape.colour]) / 255) < 1e-3, axis=2).any(), "the named shape lies in its place"
    assert_array_equal(image[place, -8:].reshape(2, 4).argmax(axis=1), [place % 4, place // 4])


@pytest.mark.parametrize("name", ["scenes", "flickr8k", "coco2014"])
def test_shipped_data_is_without_problems(name: str) -> None:
    collector = ProblemCollector()
    settings(name).check(collector)
    assert collector.problems == []


@pytest.mark.slow
def test_flickr8k_has_its_official_parts(published_data: Path, tmp_path: Path) -> None:
    if not (published_data / "captioning" / "flickr8k" / "train.zip").is_file():
        pytest.skip("Flickr8k is not at hand")
    patches = {"kind": "patches", "image_size": 2, "patch_size": 2, "positions": "none", "batch_size": 500}
    spec = CaptionsDataSpec.model_validate({**settings("flickr8k").model_dump(), "features": patches})
    data = prepare(spec, PathsSpec(cache_dir=str(tmp_path), data_dir=str(published_data)), 0)
    assert {part: len(examples) for part, examples in data.examples.items()} == {"train": 6000, "validation": 1000, "test": 1000}
    assert data.figures["captions"] == 40_000 and data.sizes["target"] == 2539
    assert {len(data.examples["test"][number].references) for number in range(20)} <= {4, 5}


def test_examples_tell_where_the_shapes_lie(tmp_path: Path) -> None:
    spec = settings("scenes").model_copy(update={"max_images": 20})
    data = prepare(spec, PathsSpec(cache_dir=str(tmp_path)), 0)
    for example in data.examples["test"]:
        shapes = scene(example.name).shapes
        assert list(example.regions) == [str(shape) for shape in shapes]
        for shape, box in zip(shapes, example.regions.values(), strict=True):
            assert [round(side * SIZE) for side in box] == list(shape.box)
