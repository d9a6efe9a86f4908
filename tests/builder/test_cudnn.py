"""The table of cuDNN's conditions: what decides, why, and what lifts it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from framework.builder.cudnn import CONDITIONS, GRUTraits, judge
from framework.builder.planner import off_cudnn, plan_model, required_cudnn
from framework.spec.validate import validate_model

PLAIN = GRUTraits("torch", device="gpu")

OBSTACLES: dict[str, dict[str, Any]] = {
    "use_cudnn": {"use_cudnn": False},
    "device": {"device": "cpu"},
    "attend": {"attends": True},
    "dtype": {"dtype": "int8"},
    "activation": {"activation": "relu"},
    "recurrent_activation": {"recurrent_activation": "hard_sigmoid"},
    "recurrent_dropout": {"recurrent_dropout": 0.1},
    "reset_after": {"reset_after": False},
    "implementation": {"implementation": 1, "dropout": 0.1},
}
LIFTED: dict[str, dict[str, Any]] = {
    "use_bias": {"use_bias": False},
    "unroll": {"unroll": True},
    "dropout": {"dropout": 0.1},
    "go_backwards": {"go_backwards": True},
    "mask": {"masked": True},
}


def test_the_plain_gru_is_eligible() -> None:
    verdict = judge(PLAIN)
    assert verdict.eligible
    assert verdict.obstacles == verdict.lifted == ()


@pytest.mark.parametrize("argument", OBSTACLES)
def test_each_obstacle_is_named_with_the_change_that_lifts_it(argument: str) -> None:
    verdict = judge(replace(PLAIN, **OBSTACLES[argument]))
    assert not verdict.eligible
    assert [one.argument for one in verdict.obstacles] == [argument]
    assert verdict.obstacles[0].change


@pytest.mark.parametrize("argument", LIFTED)
def test_what_does_not_change_the_result_is_lifted(argument: str) -> None:
    verdict = judge(replace(PLAIN, **LIFTED[argument]))
    assert verdict.eligible
    assert argument in [one.argument for one in verdict.lifted]


def test_the_table_reads_every_trait() -> None:
    """What no condition reads has no say in the path, and is none."""
    read = set()

    class Watched(GRUTraits):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    judge(Watched("torch"))
    judge(Watched("torch", implementation=1))
    assert read >= {field.name for field in fields(GRUTraits)} - {"backend"}  # whose verdict it is


def test_every_line_of_the_table_is_tried_here() -> None:
    assert {one.argument for one in CONDITIONS} == set(OBSTACLES) | set(LIFTED)
    assert all((one.change is None) != (one.lift is None) for one in CONDITIONS)


def test_all_reasons_come_together() -> None:
    verdict = judge(replace(PLAIN, activation="relu", reset_after=False, use_bias=False))
    assert [one.argument for one in verdict.obstacles] == ["activation", "reset_after"]
    assert [one.argument for one in verdict.lifted] == ["use_bias"]


def test_required_cudnn_names_each_layer_and_each_reason() -> None:
    model = validate_model(
        {
            "inputs": {"x": {"dtype": "float32", "shape": [None, 3]}},
            "layers": {
                "one": {"kind": "gru", "units": 2, "return_sequences": True, "use_cudnn": True, "reset_after": False, "activation": "relu"},
                "two": {"kind": "gru", "units": 2, "use_cudnn": True},
            },
            "outputs": "two",
        }
    )
    lines = required_cudnn(plan_model(model, seed=0), "torch")
    assert [line.partition(":")[0] for line in lines] == ["one", "one"]
    assert "activation: tanh lifts it" in lines[0]


def test_the_runs_setting_counts_for_layers_that_say_auto() -> None:
    inputs = {"x": {"dtype": "float32", "shape": [None, 3]}}
    layers = {"one": {"kind": "bidirectional", "layer": {"units": 2, "activation": "relu"}}}
    plan = plan_model(validate_model({"inputs": inputs, "layers": layers, "outputs": "one"}), seed=0)
    assert required_cudnn(plan, "torch") == []
    assert len(required_cudnn(plan, "torch", True)) == 1
    assert off_cudnn(plan, "torch") == ["one does not run on cuDNN: activation: cuDNN's GRU has tanh built in; activation: tanh lifts it"]
