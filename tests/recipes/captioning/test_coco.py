"""Photos in MS-COCO's own form, from their file to captions, on both backends; and a batch of them learned by heart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import framework
from framework.cli.main import main

SMALL = (
    "model.layers.encoder.units=64",
    "model.layers.target_embedding.output_dim=16",
    "model.layers.decoder.attention.units=16",
    "model.layers.decoder.cell.units=48",
    "model.layers.hidden.units=32",
    "optimizer.learning_rate=0.01",
    "tracking=none",
)
BACKENDS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
]


@pytest.fixture
def folder(published_data: Path) -> Path:
    """A hundred photos in MS-COCO's form."""
    folder = published_data / "captioning" / "coco_ccby_fixture"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    return folder


def words_for(captions: Path, images: Path, backend: str) -> list[str]:
    """What a command line says of the photos, their features being small patches of pixels."""
    seen = ["data.features.kind=patches", "data.features.image_size=16", "data.features.patch_size=4", "data.features.dtype=float32"]
    unknown = ["~data.features.weights", "~data.declared_sizes", "~data.member", "data.split.group_by=image", "paths.cache_dir=cache"]
    return [f"data.captions_path={captions}", f"data.images_path={images}", *seen, *unknown, *SMALL, f"backend={backend}"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_from_the_file_to_captions(
    backend: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        *words_for(folder / "captions.json", folder / "images", backend),
        "name=coco",
        "data.max_captions=null",
        "data.max_images=40",
        "decoding.max_length=4",
    ]
    assert main(["train", "recipe=captioning", *words, "trainer.max_epochs=2"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "coco", "--split", "validation", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert {"bleu_1", "bleu_4", "cider_d", "rouge_l", "exact"} <= measured.keys()
    some = [str(path) for path in sorted((folder / "images").iterdir())[:2]]
    assert main(["caption", "coco", *some, "--plot", "plots/seen.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == some
    assert sorted(path.name for path in Path("plots").iterdir()) == ["seen-0001.png", "seen-0002.png"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_captions_is_learned_by_heart(backend: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads((folder / "captions.json").read_text())
    first = {one["image_id"]: one for one in reversed(content["annotations"])}  # one caption a photo: of several, nobody knows which
    kept = [first[key] for key in sorted(first)[:64]]
    images = [one for one in content["images"] if one["id"] in {caption["image_id"] for caption in kept}]
    Path("few.json").write_text(json.dumps({"images": images, "annotations": kept}))
    alone = [
        "data.max_captions=null",
        "data.validation_fraction=0",
        "trainer.max_epochs=150",
        "model.layers.decoder.cell.units=128",
        "trainer.sample_every_n_epochs=null",
    ]
    carried = ["model.layers.decoder.carry_state=true", "trainer.log_every_n_steps=50", "trainer.checkpoint.every_n_epochs=150"]
    run = framework.train(framework.load("captioning", [*words_for(Path("few.json"), folder / "images", backend), *alone, *carried]))
    assert run.metrics()["epoch/loss"][-1][1] < 0.05, "nats a token"
