"""A run killed with SIGKILL at random moments ends as the undisturbed one."""

from __future__ import annotations

import random
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "kill_loop"


def kill_loop() -> Any:
    loader = SourceFileLoader("kill_loop", str(SCRIPT))
    spec = spec_from_loader("kill_loop", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.torch
@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_the_undisturbed_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kill_loop().kill_loop(tmp_path, "torch", 4, random.Random(1)) == 0
    assert " 0 did not" in capsys.readouterr().out


@pytest.mark.torch
@pytest.mark.slow
def test_a_run_whose_products_are_measured_goes_on_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["kill_loop", "--kills", "3", "--seed", "2", "--recipe", "text_generation_stateless", "--tune"]
    monkeypatch.setattr("sys.argv", words)
    for name in ("GATEWORK_TUNE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # put back at the end
    assert kill_loop().main() == 0
    assert " 0 did not" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_run_of_keras_killed_at_random_moments_ends_as_the_undisturbed_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kill_loop().kill_loop(tmp_path, "tensorflow", 3, random.Random(1)) == 0
    assert " 0 did not" in capsys.readouterr().out


@pytest.mark.torch
def test_another_end_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The loop itself is told of runs that end differently."""
    loop = kill_loop()
    ends = iter([*({"values": 1} for _ in loop.KINDS), {"values": 2}])

    class Ended:
        pid = -1

        def __init__(self) -> None:
            self.killed = False

        def kill(self) -> None:
            self.killed = True

        def wait(self, timeout: float | None = None) -> int:
            return -9 if self.killed else 0

    monkeypatch.setattr(loop, "start", lambda folder, backend, recipe, name, together: Ended())
    monkeypatch.setattr(loop, "wait_for_steps", lambda process, folder: None)
    monkeypatch.setattr(loop, "end_of", lambda folder: next(ends))
    monkeypatch.setattr(loop, "where", lambda folder: "step 1")
    monkeypatch.setattr(loop, "seconds_of", lambda folder: 1e-9)
    assert loop.kill_loop(tmp_path, "torch", 1, random.Random(0)) == 1
    assert "0 ended as the undisturbed one, 1 did not" in capsys.readouterr().out
