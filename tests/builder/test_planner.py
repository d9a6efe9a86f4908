"""Plans: order, shapes, parameter counts and costs, and every shape that does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from framework.builder.costs import model_cost
from framework.builder.plan import Reference
from framework.builder.planner import plan_model
from framework.builder.step import decoding_obstacles, derive_step
from framework.errors import SpecError
from framework.spec.validate import validate_model


def tutorial(tokens: int, **gru: Any) -> dict[str, Any]:
    return {
        "inputs": {"tokens": {"shape": [None]}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": tokens, "output_dim": 256},
            "gru": {"kind": "gru", "units": 1024, "return_sequences": True, **gru},
            "logits": {"kind": "dense", "units": tokens},
        },
        "outputs": "logits",
    }


def plan(layers: dict[str, Any], outputs: str, shape: tuple[int | None, ...] = (None, 6), dtype: str = "float32") -> Any:
    inputs = {"x": {"dtype": dtype, "shape": list(shape)}}
    return plan_model(validate_model({"inputs": inputs, "layers": layers, "outputs": outputs}), seed=0)


def problem_of(layers: dict[str, Any], outputs: str, **inputs: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        plan(layers, outputs, **inputs)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(("tokens", "parameters"), [(65, 4_021_569), (66, 4_022_850)])
def test_the_tutorials_parameter_counts(tokens: int, parameters: int) -> None:
    """Source: TensorFlow tutorial "Text generation with an RNN": 4,022,850 is printed by its later version."""
    assert plan_model(validate_model(tutorial(tokens)), seed=0).parameters == parameters


def test_flops_of_the_tutorials_step_count_every_product() -> None:
    """Forward: 2·(inputs + state)·3·units for the GRU, 2·units·tokens for the logits; a training step is three times that."""
    cost = model_cost(plan_model(validate_model(tutorial(65)), seed=0), batch_size=64, time=100)
    products = 64 * 100 * (2 * 3 * 1024 * (256 + 1024) + 2 * 1024 * 65)
    assert 1.0 < cost.flops / (3 * products) < 1.01


def test_layers_are_ordered_by_their_wiring_not_by_their_place() -> None:
    layers = {
        "top": {"kind": "add", "inputs": ["left", "right"]},
        "left": {"kind": "dense", "units": 3, "inputs": "x"},
        "right": {"kind": "dense", "units": 3, "inputs": "left"},
    }
    assert [layer.name for layer in plan(layers, "top").layers] == ["left", "right", "top"]


@pytest.mark.parametrize(
    ("gru", "shape", "output"),
    [
        ({}, (7, 6), (None, 5)),
        ({"return_sequences": True}, (7, 6), (None, 7, 5)),
        ({"return_sequences": True, "go_backwards": True}, (None, 6), (None, None, 5)),
        ({"return_sequences": True, "time_major": True}, (4, 6), (None, 4, 5)),
        ({"time_major": True}, (4, 6), (4, 5)),
    ],
)
def test_gru_shapes(gru: dict[str, Any], shape: tuple[int | None, ...], output: tuple[int | None, ...]) -> None:
    assert plan({"gru": {"kind": "gru", "units": 5, **gru}}, "gru", shape).layers[0].outputs["output"].shape == output


@pytest.mark.parametrize(
    ("gru", "names", "parameters"),
    [
        ({}, ["kernel (6, 15)", "recurrent_kernel (5, 15)", "bias (2, 15)"], 195),
        ({"reset_after": False}, ["kernel (6, 15)", "recurrent_kernel (5, 15)", "bias (15,)"], 180),
        ({"use_bias": False}, ["kernel (6, 15)", "recurrent_kernel (5, 15)"], 165),
    ],
)
def test_gru_weights(gru: dict[str, Any], names: list[str], parameters: int) -> None:
    layer = plan({"gru": {"kind": "gru", "units": 5, **gru}}, "gru").layers[0]
    assert [f"{weight.name} {weight.shape}" for weight in layer.weights] == names
    assert layer.parameters == parameters


@pytest.mark.parametrize(("merge", "width"), [("concat", 10), ("sum", 5), ("mul", 5), ("ave", 5)])
def test_bidirectional(merge: str, width: int) -> None:
    spec = {"kind": "bidirectional", "merge_mode": merge, "layer": {"units": 5, "return_sequences": True}}
    layer = plan({"both": spec}, "both").layers[0]
    assert layer.outputs["output"].shape == (None, None, width)
    assert [weight.name for weight in layer.weights[:4]] == [
        "forward/kernel",
        "forward/recurrent_kernel",
        "forward/bias",
        "backward/kernel",
    ]
    assert layer.parameters == 2 * 195


def test_masks_travel_with_sequences_and_end_with_them() -> None:
    layers = {
        "skip": {"kind": "masking"},
        "first": {"kind": "gru", "units": 5, "return_sequences": True},
        "last": {"kind": "gru", "units": 5},
    }
    assert [layer.outputs["output"].masked for layer in plan(layers, "last").layers] == [True, True, False]


GRU = {"kind": "gru", "units": 5}


@pytest.mark.parametrize(
    ("layers", "outputs", "inputs", "at", "says"),
    [
        ({"gru": GRU}, "gru", {"shape": (6,)}, "gru.inputs", "reads (batch, 6)"),
        ({"gru": GRU}, "gru", {"dtype": "int32"}, "gru.inputs", "reads whole numbers"),
        ({"gru": GRU, "top": {"kind": "gru", "units": 2}}, "top", {}, "top.inputs", "reads (batch, 5)"),
        ({"gru": {**GRU, "unroll": True}}, "gru", {}, "gru.unroll", "the number of steps is not known"),
        ({"gru": {**GRU, "inputs": ["x", "x"]}}, "gru", {}, "gru.inputs", "reads 2 inputs"),
        ({"dense": {"kind": "dense", "units": 3}}, "dense", {"shape": (6, None)}, "dense.inputs", "has no known length"),
        ({"table": {"kind": "embedding", "input_dim": 3, "output_dim": 2}}, "table", {}, "table.inputs", "reads float32"),
        ({"skip": {"kind": "masking"}}, "skip", {"shape": (6,)}, "skip.inputs", "reads (batch, 6)"),
        (
            {"a": {**GRU, "return_state": True, "return_sequences": True}, "b": {"kind": "gru", "units": 4, "initial_state": "a.state"}},
            "b",
            {},
            "b.initial_state",
            "has the shape (batch, 5)",
        ),
        (
            {"a": {"kind": "dense", "units": 3, "inputs": "x"}, "b": {"kind": "add", "inputs": ["a", "x"]}},
            "b",
            {},
            "b.inputs",
            "do not fit together",
        ),
        (
            {"a": {**GRU, "inputs": "x"}, "b": {"kind": "concatenate", "inputs": ["a", "x"]}},
            "b",
            {},
            "b.inputs",
            "do not fit together",
        ),
        ({"b": {"kind": "concatenate", "inputs": ["x", "x"], "axis": 5}}, "b", {}, "b.axis", "no axis 5"),
    ],
)
def test_shapes_that_do_not_fit(layers: dict[str, Any], outputs: str, inputs: dict[str, Any], at: str, says: str) -> None:
    problem = problem_of(layers, outputs, **inputs)
    assert problem.path == f"model.layers.{at}"
    assert says in problem.message


def test_an_open_size_is_named() -> None:
    problem = problem_of({"dense": {"kind": "dense", "units": "${size:tokens}"}}, "dense")
    assert (problem.path, "'tokens' is not known yet" in problem.message) == ("model.layers.dense.units", True)


def test_the_decoding_step_is_derived_from_what_depends_on_the_decoded_input() -> None:
    model = validate_model(
        {
            "inputs": {"source": {"shape": [None]}, "target": {"shape": [None]}},
            "layers": {
                "source_embedding": {"kind": "embedding", "inputs": "source", "input_dim": 9, "output_dim": 4},
                "encoder": {"kind": "bidirectional", "layer": {"units": 3}},
                "first_state": {"kind": "dense", "units": 5},
                "target_embedding": {"kind": "embedding", "inputs": "target", "input_dim": 9, "output_dim": 4},
                "decoder": {"kind": "gru", "units": 5, "return_sequences": True, "initial_state": "first_state"},
                "logits": {"kind": "dense", "units": 9},
            },
            "outputs": "logits",
        }
    )
    planned = plan_model(model, seed=0)
    step = derive_step(planned, "target")
    assert [layer.name for layer in step.per_step] == ["target_embedding", "decoder", "logits"]
    assert [layer.name for layer in step.once] == ["source_embedding", "encoder", "first_state"]
    assert step.obstacles == {}
    assert step.first == {"decoder/state": Reference("first_state")}
    assert not step.memory and step.unread == {"target_embedding"}
    assert derive_step(planned).decoded == "target"
    assert list(derive_step(planned, "source").obstacles) == ["encoder", "decoder"]


def test_a_model_that_cannot_be_decoded_says_why() -> None:
    two = {
        "inputs": {"one": {"shape": [None]}, "other": {"shape": [None]}},
        "layers": {
            "left": {"kind": "embedding", "inputs": "one", "input_dim": 9, "output_dim": 4},
            "right": {"kind": "embedding", "inputs": "other", "input_dim": 9, "output_dim": 4},
            "sum": {"kind": "add", "inputs": ["left", "right"]},
        },
        "outputs": "sum",
    }
    planned = plan_model(validate_model(two), seed=0)
    why = decoding_obstacles(planned)["model.inputs"]
    assert "not 'one', as layer 'sum': it reads 'right' beside the decoded tokens" in why
    assert "not 'other', as layer 'sum': it reads 'left'" in why
    assert "reads 'right' beside the decoded tokens" in derive_step(planned, "one").obstacles["sum"]
    numbers = plan({"gru": {**GRU, "return_sequences": True}}, "gru")
    assert "none of x is (batch, time) of whole numbers" in decoding_obstacles(numbers)["model.inputs"]


def test_a_layer_that_reads_backwards_has_no_step() -> None:
    layers = {"gru": {**GRU, "go_backwards": True, "return_sequences": True}}
    assert "go_backwards" in derive_step(plan(layers, "gru"), "x").obstacles["gru"]


def test_no_initializer_at_all_is_keras_choice() -> None:
    """Source: Keras documentation, ``Layer.add_weight``: ``glorot_uniform`` where a floating-point weight is given none."""
    none = {"kernel_initializer": None, "bias_initializer": None}
    layers = {
        "gru": {"kind": "gru", "units": 2, "recurrent_initializer": None, "return_sequences": True, **none},
        "norm": {"kind": "layer_normalization", "gamma_initializer": None, "beta_initializer": None},
        "out": {"kind": "dense", "units": 3, **none},
    }
    weights = [weight for layer in plan(layers, "out").layers for weight in layer.weights]
    assert len(weights) == 7
    assert {weight.initializer.class_name for weight in weights} == {"glorot_uniform"}


def test_a_sum_is_masked_only_where_all_of_its_parts_are() -> None:
    layers: dict[str, Any] = {
        "masked": {"kind": "masking", "inputs": "x"},
        "plain": {"kind": "dense", "units": 6, "inputs": "x"},
        "both": {"kind": "add", "inputs": ["masked", "masked"]},
        "one": {"kind": "add", "inputs": ["both", "plain"]},
    }
    tensors = {layer.name: layer.outputs["output"] for layer in plan(layers, "one").layers}
    assert (tensors["both"].masked, tensors["one"].masked) == (True, False)
