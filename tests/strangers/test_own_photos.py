"""Somebody's own photos and a table of captions, with YAML that `gatework new` wrote and no Python: trained, evaluated and captioned on
both backends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_captions import colour_of, write_pictures
from strangers.test_own_pairs import BACKENDS, edited

from framework.cli.main import main


@pytest.mark.parametrize("backend", BACKENDS)
def test_own_photos(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path)
    assert main(["new", "mine", "--from", "captioning"]) == 0
    said = capsys.readouterr().out
    assert "configs/data/mine.yaml where your data lies, or add data.captions_path=FILE data.images_path=FOLDER to each command\n" in said
    assert "\n    gatework train recipe=mine\n" in said
    data = tmp_path / "configs/data/mine.yaml"
    data.write_text(data.read_text().replace("kind: efficientnet_lite0 ", "kind: patches\n  patch_size: 2 "))
    edited(data, captions_path="captions.csv", images_path="photos", image_size="4")
    edited(tmp_path / "configs/model/mine.yaml", units="16", output_dim="8", attention="{kind: additive, units: 8}")
    words = ["recipe=mine", "paths.cache_dir=cache", "tracking=none"]
    sizes = ["model.layers.decoder.cell.units=16", "model.layers.hidden.units=16", "data.batch_size=16"]
    small = [*sizes, "model.layers.decoder.carry_state=true"]
    assert main(["check", *words]) == 0
    train = ["train", *words, *small, f"backend={backend}", "optimizer.learning_rate=0.02", "trainer.max_epochs=10", "name=own"]
    assert main(train) == 0
    capsys.readouterr()
    assert main(["evaluate", "own", "--split", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["exact"] > 90 and measured["accuracy"] > 0.8, "a photo is of one colour, and has two captions"
    assert main(["caption", "own", "photos/3.png"]) == 0
    assert colour_of(3) in capsys.readouterr().out.split()
