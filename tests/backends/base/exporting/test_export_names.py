"""What graphs call their tensors: names for every format, none of them twice."""

from __future__ import annotations

import re
from typing import Any

import pytest
from small_models import Workshop, language_model

from framework.backends.base.exporting import (
    MODEL,
    STEP,
    Port,
    Signature,
    decoding_signatures,
    first_states,
    model_signature,
    port_name,
    state_port,
)
from framework.builder.planner import plan_model
from framework.builder.step import derive_step
from framework.errors import UnsupportedArgument
from framework.spec.validate import validate_model

GRU = {"kind": "gru", "units": 3, "return_sequences": True}


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("gru/state", "gru_state"),
        ("1gru", "x1gru"),
        ("_gru", "x_gru"),
        ("größe", "gr__e"),
        ("my-gru", "my_gru"),
        ("Ärger", "x_rger"),
        ("٣", "x_"),
    ],
)
def test_ports_have_names_of_ascii(name: str, port: str) -> None:
    assert port_name(name) == port


@pytest.mark.parametrize("part", ["inputs", "outputs"])
def test_names_that_become_one_are_refused(part: str) -> None:
    embedding = {"kind": "embedding", "input_dim": 5, "output_dim": 3}
    alike, apart = ("a-b", "a_b"), ("one", "two")
    given, made = (alike, apart) if part == "inputs" else (apart, alike)
    spec = {
        "inputs": {name: {"dtype": "int32", "shape": [None]} for name in given},
        "layers": {f"of {name}": {**embedding, "inputs": name} for name in given},
        "outputs": {name: f"of {read}" for name, read in zip(made, given, strict=True)},
    }
    why = f"two {part} of the exported graph 'model' would both be called 'a_b'; expected names in the config that differ in"
    with pytest.raises(UnsupportedArgument, match=re.escape(why)):
        model_signature(Workshop.plan(spec))


def test_an_input_and_an_output_may_have_one_name() -> None:
    spec = language_model(None)
    assert model_signature(Workshop.plan({**spec, "outputs": {"tokens": "logits"}})).outputs[0].name == "tokens"


def step_of(layers: dict[str, Any], usual: str = "float32", **logits: Any) -> Signature:
    spec = language_model(None, **layers)
    spec["layers"]["logits"].update(logits)
    plan = plan_model(validate_model(spec), 0, dtype=usual)
    [step] = decoding_signatures(plan, derive_step(plan, "tokens"), {})
    assert step.name == STEP
    return step


def test_states_of_steps_are_told_apart() -> None:
    step = step_of(dict.fromkeys(("gru", "next_gru", "my-gru", "my_gru"), GRU))
    states = ["gru_state", "next_gru_state_", "my_gru_state", "my_gru_state_"]
    assert [port.name for port in step.inputs] == ["tokens", *states]
    assert [port.name for port in step.outputs] == ["logits", *(f"next_{name}" for name in states)]


@pytest.mark.parametrize(("usual", "other"), [("float32", "float64"), ("float64", "float32")])
def test_states_are_of_the_type_that_their_layers_compute_in(usual: str, other: str) -> None:
    step = step_of({"one": GRU, "two": {**GRU, "dtype": other}}, usual, dtype=other)
    assert [port.dtype for port in step.inputs] == ["int32", usual, other]


def test_names_that_are_taken_are_left() -> None:
    taken = {"one_state", "my-gru_state", "next_two_state"}
    assert [state_port(name, taken) for name in ("one_state", "my_gru_state", "two_state", "next_one_state")] == [
        "one_state_",
        "my_gru_state_",
        "two_state_",
        "next_one_state",
    ]
    assert {"one_state_", "next_one_state_", "next_one_state", "next_next_one_state"} < taken


def test_what_data_gives_is_no_state() -> None:
    x, state = Port("x", "float32", ("batch", 2)), Port("state", "float32", ("batch", 3))
    signature = Signature(MODEL, (x, state), (x._replace(name="next_x"), state._replace(name="next_state")))
    assert {name: value.shape for name, value in first_states(signature, 4, {"x"}).items()} == {"state": (4, 3)}
