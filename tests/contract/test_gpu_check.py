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
    """Runs the script in this process, on three of its configurations and one recipe."""
    monkeypatch.setattr(script, "GRID", {name: script.GRID[name] for name in ("plain", "mask, any", "dropout")})
    monkeypatch.setattr(script, "median_seconds", lambda step, wait: 1.0)
    monkeypatch.setattr(importlib.import_module("gpu.recipes"), "RECIPES", ("captioning_scenes",))

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gpu_check", *words])
        return int(script.main())

    return run


@pytest.mark.parametrize("backend", [BACKENDS[0], pytest.param("tensorflow", marks=(pytest.mark.tensorflow, pytest.mark.slow))])
def test_each_backend_is_compared_with_its_scan(check: Call, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--backend", backend, "--cpu", "--json", str(tmp_path / "it.json")) == 0
    assert capsys.readouterr().out.count("| ok |") == 4
    found = json.loads((tmp_path / "it.json").read_text())
    assert list(found) == [backend] and found[backend]["device"] == "CPU"
    assert [row["name"] for row in found[backend]["rows"]] == ["plain", "mask, any", "dropout"]
    assert [(row["name"], row["parameters"], row["difference"]) for row in found[backend]["recipes"]] == [("captioning_scenes", 296_469, 0)]


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
    row = {"verdict": "cuDNN", "kernel": "cuDNN", "difference": 0.0, "ms": 1.0, "reference_ms": 2.0, "ok": True}
    monkeypatch.setattr(script, "check", lambda *_: row)
    monkeypatch.setattr(script, "check_recipes", lambda *_: [])
    assert check() == 0
    said = capsys.readouterr()
    assert said.out.startswith("torch on a GPU, torch ") and said.out.count("| ok |") == 3
    assert "tensorflow: not checked, since tensorflow sees no CUDA GPU\n" in said.err


@pytest.mark.torch
def test_what_fails_is_named_and_the_others_are_checked(
    check: Call, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(backend: str, side: object, settings: dict[str, object], cpu: bool) -> dict[str, object]:
        if settings:
            raise RuntimeError("no such kernel\nat all")
        return {"verdict": "cuDNN", "kernel": "cuDNN", "difference": 0.0, "ms": 1.0, "reference_ms": 2.0, "ok": True}

    monkeypatch.setattr(script, "check", fails)
    monkeypatch.setattr("gpu.recipes.RECIPES", ())
    assert check("--backend", "torch", "--cpu") == 1
    said = capsys.readouterr().out
    assert "| plain | cuDNN | cuDNN | 0.0e+00 | 1.00 | 2.00 | 2.0 × | ok |" in said
    assert "| dropout |  |  |  |  |  |  | FAILED: RuntimeError: no such kernel |" in said


@pytest.mark.torch
def test_a_recipe_without_its_data_is_named_and_one_with_other_losses_fails(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes = importlib.import_module("gpu.recipes")
    monkeypatch.setattr(recipes, "RECIPES", ("captioning_flickr8k", "captioning_scenes"))
    monkeypatch.setattr(recipes, "_trained", lambda recipe, backend, device: ([2.0 if device == "gpu" else 1.0], 1.0, 5))
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path))
    trained, asked = recipes._trained, recipes.prepared_recipe
    monkeypatch.setattr(
        recipes, "_trained", lambda recipe, *rest: asked(recipe, rest[0], []) if "flickr" in recipe else trained(recipe, *rest)
    )
    rows = script.check_recipes("torch", False)
    assert [(row["name"], row["ok"]) for row in rows] == [("captioning_scenes", False)]
    said = capsys.readouterr()
    assert said.err.startswith("torch: captioning_flickr8k is not checked, since ") and "captions.tsv.gz" in said.err
    assert "| captioning_scenes | 5 | 1.0e+00 | 1000.00 | 1000.00 | 1.0 × | FAILED |" in said.out


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_whole_grid_can_be_tried(
    script: ModuleType, backend: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.import_module("gpu.recipes"), "RECIPES", ())
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--backend", backend, "--cpu"])
    assert script.main() == 0
    assert capsys.readouterr().out.count("| ok |") == len(script.GRID) == 19
