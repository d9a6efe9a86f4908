"""Which weights a run is used by while it has no portable model yet."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import framework
from framework.engine.model.opening import trained_model
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.portable import model_weights

SMALL = (
    "model.layers.source_embedding.output_dim=4",
    "model.layers.target_embedding.output_dim=4",
    "model.layers.encoder.units=4",
    "model.layers.decoder.cell.units=4",
    "model.layers.decoder.attention.units=4",
)
PAIRS = (
    "data=parallel_text",
    "data.source_path=train.es",
    "data.target_path=train.en",
    "data.validation_fraction=0",
    "data.test_fraction=0",
    "data.validation={source_path: val.es, target_path: val.en}",
    "data.batch_size=4",
)


@pytest.mark.torch
def test_the_best_weights_are_used_also_where_validation_has_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, word in (("train", "a"), ("val", "b")):  # what is learned of one text is wrong for the other
        for side in ("es", "en"):
            (tmp_path / f"{name}.{side}").write_text(f"{side} {word} a\n" * 12)
    words = [*PAIRS, *SMALL, "paths.cache_dir=cache", "tracking=none", "optimizer.learning_rate=0.5"]
    run = framework.train(framework.load("translation", [*words, "trainer.max_epochs=3", "trainer.sample_every_n_epochs=null"]))
    assert run.record()["best_epoch"] < 3
    shutil.rmtree(run.path / "model")  # as while it trains
    best = model_weights(CheckpointStore(run.folder.checkpoints).load("best"))
    for name, value in trained_model(run.folder).weights.items():
        np.testing.assert_array_equal(value, best[name])
