"""A layer with a data type of its own through the life of a run: trained, sampled, killed, gone on with, measured, and writing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_experiments import small, text  # noqa: F401 - fixtures

import framework
from framework.backends.base.training import StepResult
from framework.engine.model.evaluate import evaluate_run
from framework.engine.run.checkpoint import CheckpointStore
from framework.report.progress import SilentReporter

pytestmark = pytest.mark.torch


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class Kills(SilentReporter):
    """Ends the process's work after a step."""

    def step(self, result: StepResult) -> None:
        if result.position.step == 9:
            raise Killed


ALL = ["embedding", "gru", "logits"]


@pytest.mark.parametrize(
    ("dtype", "layers"),
    [("mixed_bfloat16", ALL), *(pytest.param(*one, marks=pytest.mark.slow) for one in (("mixed_bfloat16", ["gru"]), ("bfloat16", ALL)))],
    ids=str,
)
def test_a_run_trains_samples_goes_on_measures_and_writes(dtype: str, layers: list[str], small: Any, text: Path) -> None:  # noqa: F811
    typed = [f"model.layers.{layer}.dtype={dtype}" for layer in layers]
    overrides = [*typed, "data.validation_fraction=0.2", "trainer.checkpoint.every_n_steps=2", "model.layers.gru.recurrent_dropout=0.1"]
    whole = framework.train(small(*overrides, "name=whole"))
    with pytest.raises(Killed):
        framework.train(small(*overrides, "name=killed"), reporter=Kills())
    again = framework.train(small(*overrides, "name=killed"))

    states = [CheckpointStore(run.folder.checkpoints).load("last").state for run in (whole, again)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert "seconds" in name or value.tobytes() == states[1][name].tobytes(), name

    assert len((again.path / "samples" / "epoch-0003.txt").read_text()) == 13
    assert len(again.generate("gate ", length=20, seed=1)) == 25
    measured = evaluate_run(str(again.path), overrides=[f"data.path={text}"])
    losses = [loss for _, loss in again.metrics()["epoch/val_loss"]]
    assert math.isfinite(measured["loss"]) and measured["loss"] == pytest.approx(min(losses), rel=1e-6)
    assert np.isfinite(losses).all()
