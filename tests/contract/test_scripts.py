"""Scripts that people run by hand say what they do, and tables in the README are those that the tool writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_tables_in_the_readme_are_current() -> None:
    done = run("scripts/write_tables", "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.torch
def test_the_gpu_check_compares_every_configuration_and_refuses_without_a_gpu() -> None:
    import torch

    done = run("scripts/gpu_check", "--cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| ok |") == 19
    if not torch.cuda.is_available():
        refused = run("scripts/gpu_check")
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: torch sees no CUDA GPU")


@pytest.mark.slow
@pytest.mark.torch
def test_a_training_step_is_measured_against_a_plain_loop(tmp_path: Path) -> None:
    settings = ["data=python_source", "data.batch_size=2", "data.sequence_length=8", "model.layers.gru.units=4"]
    words = [word for setting in settings for word in ("--set", setting)]
    done = run("scripts/benchmark.py", "step", "--busy", "--only", "torch", "--json", str(tmp_path / "it.json"), *words)
    assert done.returncode == 0, done.stderr
    [row] = json.loads((tmp_path / "it.json").read_text())["rows"]
    low, high = (float(one) for one in row["95 % interval"].split(" to "))
    assert row["pairs"] == 30
    assert 0 < low <= row["ratio"] <= high
    assert "| torch | 30 |" in done.stdout
