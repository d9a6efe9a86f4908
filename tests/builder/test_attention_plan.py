"""Plans of attending layers: the tutorials' parameter counts, costs, decoding steps, and every shape or setting that does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from attention_models import GRU, over_vectors, translation

from framework.builder.costs import model_cost
from framework.builder.plan import ModelPlan, Reference
from framework.builder.planner import plan_model
from framework.builder.step import derive_step
from framework.config.fill import fill_sizes
from framework.config.location import shipped_configs
from framework.config.yaml_file import read_yaml
from framework.errors import SpecError
from framework.spec.validate import validate_model


def planned(model: dict[str, Any]) -> ModelPlan:
    return plan_model(validate_model(model), seed=0)


def shipped(name: str, source: int, target: int) -> ModelPlan:
    return planned(fill_sizes(read_yaml(shipped_configs() / "model" / f"{name}.yaml"), {"source": source, "target": target}))


def tutorial() -> ModelPlan:
    return shipped("translation_attention", 9414, 4935)


def problems_of(model: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        planned(model)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_the_translation_tutorials_parameters() -> None:
    """Source: TensorFlow tutorial "Neural machine translation with attention", three dense layers in its BahdanauAttention."""
    plan = tutorial()
    assert plan.parameters == 21_854_280
    assert sum(weight.size for weight in plan.layer("decoder").weights if weight.name.startswith("attention/")) == 2_100_225


@pytest.mark.parametrize(("name", "parameters"), [("translation_luong", 19_756_936), ("translation_cross_attention", 5_292_936)])
def test_the_parameters_of_the_translation_tutorials_later_models(name: str, parameters: int) -> None:
    """About 19.76 and 5.29 million: counted from their layers, as their pages print none."""
    plan = shipped(name, 5000, 5000)
    assert plan.parameters == parameters
    assert derive_step(plan).decoded == "target"


def test_the_captioning_tutorials_parameters() -> None:
    """Source: TensorFlow tutorial "Image captioning with visual attention", with 5,001 words."""
    layers = {
        "places": {"kind": "dense", "inputs": "image", "units": 256, "activation": "relu"},
        "embedding": {"kind": "embedding", "inputs": "target", "input_dim": 5001, "output_dim": 256},
        "decoder": {"kind": "attention_decoder", "memory": "places", "cell": {**GRU, "units": 512}, "carry_state": False},
        "hidden": {"kind": "dense", "units": 512},
        "logits": {"kind": "dense", "units": 5001},
    }
    inputs = {"image": {"dtype": "float32", "shape": [64, 2048]}, "target": {"dtype": "int32", "shape": [None]}}
    plan = planned({"inputs": inputs, "layers": layers, "outputs": "logits"})
    assert plan.parameters == 6_603_658
    decoder = plan.layer("decoder")
    assert sum(weight.size for weight in decoder.weights if weight.name.startswith("attention/")) == 394_753
    assert decoder.outputs["attention"].shape == (None, None, 64)


def test_weights_are_named_as_keras_would_name_layers_within_layers() -> None:
    decoder = {"cells": [GRU, {**GRU, "units": 5}], "attention_vector": {"units": 7}, "attention": {"units": 3}}
    names = {weight.name: weight.shape for weight in planned(over_vectors(decoder)).layer("decoder").weights}
    assert names == {
        "attention/query/kernel": (5, 3),
        "attention/query/bias": (3,),
        "attention/memory/kernel": (6, 3),
        "attention/memory/bias": (3,),
        "attention/score/kernel": (3, 1),
        "attention/score/bias": (1,),
        "cells/0/kernel": (10, 18),
        "cells/0/recurrent_kernel": (6, 18),
        "cells/0/bias": (2, 18),
        "cells/1/kernel": (6, 15),
        "cells/1/recurrent_kernel": (5, 15),
        "cells/1/bias": (2, 15),
        "attention_vector/kernel": (11, 7),
    }


@pytest.mark.parametrize(
    ("score", "names"),
    [
        ({"kind": "dot"}, {}),
        ({"kind": "general"}, {"memory/kernel": (6, 6)}),
        ({"kind": "concat", "units": 3}, {"concat/kernel": (12, 3), "concat/bias": (3,), "score/kernel": (3, 1)}),
        ({"kind": "additive", "use_bias": False}, {"query/kernel": (6, 6), "memory/kernel": (6, 6), "score/kernel": (6, 1)}),
    ],
)
def test_each_score_has_its_own_weights(score: dict[str, Any], names: dict[str, tuple[int, ...]]) -> None:
    weights = planned(over_vectors({"cell": GRU, "attention": score})).layer("decoder").weights
    found = {weight.name.removeprefix("attention/"): weight.shape for weight in weights if weight.name.startswith("attention/")}
    assert found == names


def test_the_costs_count_every_product_of_the_tutorials_step() -> None:
    """16 source places, 11 target steps: keys, queries and the cell without its recurrent product, beside encoder and logits."""
    rows, places, steps, units, width = 64, 11, 11, 1024, 256
    keys = 2 * rows * places * units * units
    decoder = 2 * rows * steps * (units * units + 3 * units * (units + width)) + rows * steps * places * 6 * units
    encoder = 2 * rows * places * 3 * units * (width + units)
    cost = model_cost(tutorial(), rows, steps)
    assert 1.0 < cost.flops / (3 * (keys + decoder + encoder + 2 * rows * steps * units * 4935)) < 1.01


def test_an_attention_within_the_loop_keeps_the_cell_off_cudnn_and_says_what_lifts_it() -> None:
    for backend, verdict in tutorial().layer("decoder").cudnn.items():
        assert [one.argument for one in verdict.obstacles] == ["attend"], backend
        assert "attend: after_cell without input_feeding lifts it" in verdict.reasons()[0]
    after = planned(translation({"cell": GRU, "attend": "after_cell"})).layer("decoder")
    assert all(verdict.eligible for verdict in after.cudnn.values())


def test_the_decoding_step_knows_what_is_made_once_and_where_states_start() -> None:
    step = derive_step(tutorial())
    assert step.decoded == "target"
    assert [layer.name for layer in step.once] == ["source_embedding", "encoder"]
    assert step.memory == (Reference("encoder"),)
    assert step.first == {"decoder/state": Reference("encoder", "state")}
    cells = planned(translation({"cells": [GRU, GRU], "attend": "after_cell", "input_feeding": True}))
    both = dict.fromkeys(("decoder/state_0", "decoder/state_1"), Reference("encoder", "state"))
    assert derive_step(cells).first == {**both, "decoder/fed": None}


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({}, "needs either a cell or a list of cells"),
        ({"cell": GRU, "cells": [GRU]}, "needs either a cell or a list of cells"),
        ({"cell": {**GRU, "stateful": True}}, "model.layers.decoder.cell: stateful is not supported in a decoder's cell"),
        ({"cells": [GRU, {**GRU, "return_sequences": True}]}, "cell 1: return_sequences is not supported"),
        ({"cell": GRU, "input_feeding": True}, "input_feeding needs attend: after_cell"),
        ({"cell": GRU, "carry_state": False, "attend": "after_cell"}, "carry_state: false needs attend: before_cell"),
        ({"cell": GRU, "attention": {"kind": "dot", "units": 3}}, "the score 'dot' has none"),
        ({"cell": GRU, "attention": {"kind": "additve"}}, "did you mean: additive"),
        ({"cell": {"units": 5}, "attention": {"kind": "dot"}}, "the query is 5 wide and the memory 6"),
        ({"cell": GRU, "initial_state": "places"}, "has the shape (batch, time, 6)"),
    ],
)
def test_what_does_not_fit_is_told_by_name(decoder: dict[str, Any], message: str) -> None:
    assert message in problems_of(over_vectors(decoder))


def test_a_memory_without_places_is_told_how_an_encoder_gives_them() -> None:
    model = translation(encoder={"return_sequences": False})
    assert "return_sequences: true" in problems_of(model)


def test_a_state_of_another_width_is_told_to_be_mapped() -> None:
    assert "a dense layer between maps one width to another" in problems_of(translation({"cell": {"units": 9}}))


def test_an_open_size_within_a_cell_is_found() -> None:
    assert "model.layers.decoder.cell.units: the size 'x' is not known yet" in problems_of(translation({"cell": {"units": "${size:x}"}}))
