"""What a check of a config says of its captions and images, and what it does not look into."""

from __future__ import annotations

from pathlib import Path

import pytest

import framework
from framework.data.features import compute
from framework.data.look import look
from framework.engine.model.run_data import _places
from framework.engine.run.prepare import known_data
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec

from .conftest import PATCHES, fill, pictures, table


def spec_of(folder: Path, **settings: object) -> CaptionsDataSpec:
    (folder / "captions.tsv").write_text(table(4))
    fill(folder / "images", pictures(4))
    base = {"captions_path": str(folder / "captions.tsv"), "images_path": str(folder / "images"), "features": PATCHES}
    return CaptionsDataSpec.model_validate({**base, **settings})


def test_captions_and_images_are_looked_for_and_not_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "pixels", lambda *_: pytest.fail("an image was looked into"))
    assert look(spec_of(tmp_path), PathsSpec()) == []
    [problem] = look(spec_of(tmp_path, caption_column="text"), PathsSpec())
    assert problem.path == "data.captions_path" and "no column 'text'" in problem.message
    [problem] = look(spec_of(tmp_path, images_path=str(tmp_path / "imags")), PathsSpec())
    assert problem.path == "data.images_path" and problem.suggestion == str(tmp_path / "images")
    [problem] = look(spec_of(tmp_path, split={"by": "column"}), PathsSpec())
    assert problem.path == "data.split.by"
    spec = spec_of(tmp_path)
    (tmp_path / "images" / "3.png").unlink()
    [problem] = look(spec, PathsSpec())
    assert "1 of 4 images cannot be used: '3.png' (it is not there)" in problem.message


def test_sizes_are_not_told_at_the_cost_of_minutes(tmp_path: Path) -> None:
    experiment = framework.load("translation")
    network = spec_of(tmp_path, features={"kind": "efficientnet_lite0"})
    assert known_data(experiment.model_copy(update={"data": network})).source == "unknown"
    paths = PathsSpec(cache_dir=str(tmp_path / "cache"))
    patches = spec_of(tmp_path, drop_remainder=False)
    known = known_data(experiment.model_copy(update={"data": patches, "paths": paths}))
    assert known.source == "read" and known.sizes["places"] == 4


def test_only_paths_are_taken_for_places(tmp_path: Path) -> None:
    provided = [{"filename": "x.zip", "how": "ask"}]
    spec = spec_of(tmp_path, provided=provided, accept_download=True, images_path=["a", "b.zip"])
    assert list(_places(spec.model_dump(), CaptionsDataSpec)) == [str(tmp_path / "captions.tsv"), "a", "b.zip"]
