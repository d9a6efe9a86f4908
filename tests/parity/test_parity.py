"""Parity is shown, and what would break it is caught."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework
from framework.cli.main import main
from framework.engine.compare.parity import Comparison, compare, measure
from framework.engine.run.digest import resolved
from framework.weights import initializers

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]
STEPS = 5


def missed(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    return {line.what for line in compare(one, other) if not line.ok}


@pytest.fixture
def settings(small) -> dict[str, Any]:  # type: ignore[no-untyped-def]
    return resolved(small("optimizer.learning_rate=0.001"))


@pytest.fixture
def keras(settings: dict[str, Any]) -> Mapping[str, Any]:
    return measure(settings, "tensorflow", STEPS)


def test_both_backends_agree_and_each_deliberate_fault_is_caught(
    settings: dict[str, Any], keras: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = list(compare(measure(settings, "torch", STEPS), keras))
    assert [line for line in lines if not line.ok] == []
    assert {line.what for line in lines} == {
        "initial weights", "outputs", "loss", "gradients", "step losses", "greedy text", "sampled text",
    }  # fmt: skip

    epsilon = {**settings, "optimizer": {**settings["optimizer"], "epsilon": 1e-2}}
    assert missed(measure(epsilon, "torch", STEPS), keras) >= {"step losses"}

    shifted = {**settings, "seed": settings["seed"]}
    from framework.data.windows import ShuffledWindows

    order = ShuffledWindows.epoch
    monkeypatch.setattr(ShuffledWindows, "epoch", lambda self, epoch, start=0: order(self, epoch, start + 1))
    assert missed(measure(shifted, "torch", STEPS), keras) >= {"loss", "step losses"}
    monkeypatch.undo()


def test_a_wrong_gate_order_is_caught(settings: dict[str, Any], keras: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = initializers.initial_weights

    def swapped(plan: Any) -> dict[str, np.ndarray]:
        weights = right(plan)
        for name in ("gru/kernel", "gru/recurrent_kernel"):
            z, r, h = np.split(weights[name], 3, axis=-1)
            weights[name] = np.concatenate([r, z, h], axis=-1)
        return weights

    monkeypatch.setattr("framework.engine.run.prepare.initial_weights", swapped)
    assert missed(measure(settings, "torch", STEPS), keras) >= {"initial weights", "outputs", "gradients"}


def test_what_one_side_lacks_is_missed() -> None:
    one = {"gradients": {"a": np.ones(2), "b": np.ones(2)}}
    other = {"gradients": {"a": np.ones(2), "c": np.ones(3)}}
    assert [(line.name, line.ok) for line in compare(one, other)] == [("a", True), ("b", False), ("c", False)]


def test_losses_are_compared_each_with_itself() -> None:
    one, other = np.array([4.0, 1.0]), np.array([4.0, 1.002])
    line = next(compare({"step losses": {"steps": one}}, {"step losses": {"steps": other}}))
    assert line.difference == pytest.approx(0.002 / 1.002)
    assert not line.ok


@pytest.mark.parametrize("what", ["step losses", "outputs"])
def test_what_is_not_finite_never_agrees(what: str) -> None:
    one = np.array([1.0, float("nan"), 1.0])
    assert not next(compare({what: {"x": one}}, {what: {"x": one}})).ok


def test_the_measure_is_relative_to_the_largest_value() -> None:
    line = next(compare({"outputs": {"y": np.array([100.0, 1.0])}}, {"outputs": {"y": np.array([100.0, 1.0005])}}))
    assert line == Comparison("outputs", "y", pytest.approx(5e-6))  # type: ignore[arg-type]
    assert line.ok


@pytest.mark.slow
def test_the_command_compares_in_processes_of_their_own(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "recipe=text_generation",
        "data=text",
        f"data.path={text}",
        "model.layers.gru.units=12",
        "debug=small",
        "--steps",
        "3",
        "--json",
    ]
    assert main(["parity", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is True
    assert len(result["rows"]) > 10


def test_gradients_that_cancel_are_held_against_those_that_do_not() -> None:
    def one(noise: float, kernel: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
        return {"gradients": {"bias": np.array([noise]), "kernel": np.array([kernel, -0.5])}}

    assert all(line.ok for line in compare(one(1e-8), one(-1e-8)))
    assert [line.name for line in compare(one(1e-8), one(1e-5)) if not line.ok] == ["bias"]
    assert [line.name for line in compare(one(0.02), one(0.020003)) if not line.ok] == ["bias"], "an array of its own size is held to that"
    assert [line.name for line in compare(one(0.0), one(0.0, 1.001)) if not line.ok] == ["kernel"]


@pytest.mark.slow
def test_a_translator_agrees_in_what_it_writes_greedily_and_by_beam(tmp_path: Path) -> None:
    words = ["data=dates", "data.max_pairs=400", "data.batch_size=16", f"paths.cache_dir={tmp_path}", "decoding.max_length=8"]
    sizes = ["encoder.units=12", "decoder.cell.units=12", "decoder.attention.units=6", "source_embedding.output_dim=5"]
    words += [f"model.layers.{one}" for one in (*sizes, "target_embedding.output_dim=5")]
    experiment = framework.load("translation", [*words, "optimizer.learning_rate=0.01"])
    lines = list(compare(*(measure(resolved(experiment), backend, 20) for backend in ("torch", "tensorflow"))))
    assert [line for line in lines if not line.ok] == []
    assert [line.name for line in lines if line.what == "predictions"] == ["beam", "greedy"]
