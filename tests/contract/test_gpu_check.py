"""`scripts/gpu_check` tries every configuration on each backend, and says plainly where it cannot."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]

Call = Callable[..., int]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(SCRIPTS / "gpu_check"))
    specification = importlib.util.spec_from_loader("gpu_check", loader)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    loader.exec_module(module)
    return module


@pytest.fixture
def check(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the script in this process, on three of its configurations."""
    monkeypatch.setattr(script, "GRID", {name: script.GRID[name] for name in ("plain", "mask, any", "dropout")})
    monkeypatch.setattr(script, "median_seconds", lambda step, wait: 1.0)

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gpu_check", *words])
        return int(script.main())

    return run


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_is_compared_with_its_scan(check: Call, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--backend", backend, "--cpu", "--json", str(tmp_path / "it.json")) == 0
    assert capsys.readouterr().out.count("| ok |") == 3
    found = json.loads((tmp_path / "it.json").read_text())
    assert list(found) == [backend] and found[backend]["device"] == "CPU"
    assert [row["configuration"] for row in found[backend]["rows"]] == ["plain", "mask, any", "dropout"]


@pytest.mark.torch
def test_another_kernel_than_the_verdicts_is_a_failure(
    check: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("framework.backends.base.proof.kernel_of", lambda operators: "cuDNN")
    assert check("--backend", "torch", "--cpu") == 1
    assert capsys.readouterr().out.count("| FAILED |") == 3


@pytest.mark.torch
@pytest.mark.tensorflow
def test_a_backend_without_a_gpu_is_named_and_not_checked(
    check: Call, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = {backend: importlib.import_module(f"gpu.{backend}_side").Side for backend in ("torch", "tensorflow")}
    if all(side.gpu() is None for side in sides.values()):
        assert check() == 2
        said = capsys.readouterr()
        assert "torch: not checked, since torch sees no CUDA GPU\n" in said.err
        assert "tensorflow: not checked, since tensorflow sees no CUDA GPU\n" in said.err
        assert said.err.endswith("error: nothing was checked; run this on a machine with a GPU (or try the comparison alone with --cpu)\n")
        assert not said.out
    for side in sides.values():
        monkeypatch.setattr(side, "gpu", staticmethod(lambda: None))
    monkeypatch.setattr(sides["torch"], "gpu", staticmethod(lambda: "a GPU"))
    row = {"configuration": "it", "eligible": True, "kernel": "cuDNN", "difference": 0.0, "ms": 1.0, "scan_ms": 2.0, "ok": True}
    monkeypatch.setattr(script, "check", lambda *_: row)
    assert check() == 0
    said = capsys.readouterr()
    assert said.out.startswith("torch on a GPU, torch ") and said.out.count("| ok |") == 3
    assert "tensorflow: not checked, since tensorflow sees no CUDA GPU\n" in said.err


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_whole_grid_can_be_tried(
    script: ModuleType, backend: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--backend", backend, "--cpu"])
    assert script.main() == 0
    assert capsys.readouterr().out.count("| ok |") == len(script.GRID) == 19
