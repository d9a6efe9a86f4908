"""The proof tells which operators a layer's forward pass really called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from framework.backends.base.registry import load_backend
from framework.builder.planner import plan_model
from framework.cli.main import main
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

pytestmark = pytest.mark.torch


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells a CPU's kernels")
def test_each_gru_is_watched_under_its_own_name() -> None:
    from framework.backends.torch.proof import prove_kernels

    layers = {
        "small": {"kind": "gru", "units": 4, "return_sequences": True},
        "relu": {"kind": "gru", "units": 4, "return_sequences": True, "activation": "relu"},
        "last": {"kind": "gru", "units": 4},
    }
    inputs = {"x": {"dtype": "float32", "shape": [None, 3]}}
    plan = plan_model(validate_model({"inputs": inputs, "layers": layers, "outputs": "last"}), seed=0)
    trainee = load_backend("torch").build(plan, initial_weights(plan), TrainerSpec(), BackendSpec())
    seen = prove_kernels(trainee, {"x": np.ones((2, 5, 3), np.float32)})  # type: ignore[arg-type]
    assert seen == {"small": "torch's own kernel", "relu": "scan", "last": "torch's own kernel"}


def test_explain_proof_runs_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("abcdefgh\n" * 400)
    words = ["explain", "recipe=text_generation", "data=text", "data.path=my.txt", "model.layers.gru.units=8", "debug=small"]
    assert main([*words, "--proof"]) == 0
    assert "proof gru: verdict cuDNN on a GPU; ran here on " in capsys.readouterr().out
    assert main([*words, "backend=tensorflow", "--proof"]) == 2
    assert "set backend=torch" in capsys.readouterr().err
