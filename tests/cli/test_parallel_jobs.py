"""Jobs that run at the same time share the folder of all runs, and nothing that one of them can spoil for another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = (
    "recipe=text_generation", "data=python_source", "debug=small", "trainer.max_epochs=1", "tracking=none",
    "model.layers.gru.units=4,5,6", "hydra.launcher.n_jobs=3",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.torch
def test_three_multiruns_of_three_jobs_at_once(tmp_path: Path) -> None:
    multiruns = [
        subprocess.Popen(
            [sys.executable, "-m", "framework", "train", "-m", *JOBS, f"seed={seed}"], cwd=tmp_path, stdout=-1, stderr=-1, text=True
        )
        for seed in range(3)
    ]
    for one in multiruns:
        out, err = one.communicate(timeout=600)
        assert one.returncode == 0, out + err
    runs = tmp_path / "runs"
    assert [json.loads(path.read_text())["status"] for path in runs.glob("text_generation/*/run.json")] == ["finished"] * 9
    assert (runs / (runs / "last").read_text().strip() / "run.json").is_file()
    assert not list(runs.glob(".part-*"))
