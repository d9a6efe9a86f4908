"""A model without what layers keep: the same layers and weights, with states as inputs and outputs."""

from __future__ import annotations

from typing import Any

from framework.builder.planner import plan_model
from framework.builder.stateless import carried_model, plain_model, stateless_model
from framework.spec.model import ModelSpec
from framework.spec.validate import validate_model

GRU: dict[str, Any] = {"kind": "gru", "units": 3, "return_sequences": True, "stateful": True, "use_cudnn": True}


def model(**layers: Any) -> ModelSpec:
    return validate_model(
        {
            "inputs": {"tokens": {"shape": [None], "batch_size": 4}},
            "layers": {"embedding": {"kind": "embedding", "input_dim": 7, "output_dim": 5}, **layers},
            "outputs": list(layers)[-1],
        }
    )


def called(name: str, taken: set[str]) -> str:
    return name


def test_states_are_given_and_taken() -> None:
    before = model(one=GRU, two={**GRU, "units": 2, "dtype": "float64"})
    plan = plan_model(carried_model(before, "float32", "next_", called), 0)
    assert {name: (one.shape, one.dtype) for name, one in plan.inputs.items()} == {
        "tokens": ((None, None), "int32"),
        "one_state": ((None, 3), "float32"),
        "two_state": ((None, 2), "float64"),
    }
    assert {name: str(one) for name, one in plan.outputs.items()} == {
        "output": "two",
        "next_one_state": "one.state",
        "next_two_state": "two.state",
    }
    assert not plan.stateful and plan.batch_size is None
    assert [name for name, _ in plan.weight_names()] == [name for name, _ in plan_model(before, 0).weight_names()]
    assert plan_model(before, 0).stateful, "the model that was given is as it was"


def test_a_state_that_is_given_already_stays() -> None:
    first = {"kind": "gru", "units": 3, "return_state": True, "inputs": "embedding"}
    changed = carried_model(
        model(first=first, second={**GRU, "inputs": "embedding", "initial_state": "first.state"}), "float32", "next_", called
    )
    assert list(changed.inputs) == ["tokens"] and list(changed.output_references()) == ["output"]


def test_states_are_called_as_outside_and_told_what_is_taken() -> None:
    before = model(one=GRU, two=GRU)
    seen: list[set[str]] = []

    def numbered(name: str, taken: set[str]) -> str:
        seen.append(set(taken))
        taken.add(f"{name}{len(seen)}")
        return f"{name}{len(seen)}"

    changed = carried_model(before, "float32", "next_", numbered)
    assert list(changed.inputs) == ["tokens", "one_state1", "two_state2"]
    assert list(changed.output_references()) == ["output", "next_one_state1", "next_two_state2"]
    assert seen == [{"tokens", "embedding", "one", "two", "output"}, {"tokens", "embedding", "one", "two", "output", "one_state1"}]


def test_grus_within_layers_change_too() -> None:
    gru = {"kind": "gru", "units": 3, "return_sequences": True, "use_cudnn": True}
    changed = plain_model(model(both={"kind": "bidirectional", "layer": gru}, one={**GRU, "inputs": "both"}))
    assert changed.layers["both"].layer.use_cudnn is False  # type: ignore[attr-defined]
    assert changed.layers["one"].use_cudnn is False  # type: ignore[attr-defined]
    assert changed.layers["one"].stateful  # type: ignore[attr-defined]
    assert not stateless_model(changed).layers["one"].stateful  # type: ignore[attr-defined]
