"""A config that is written as YAML and composed again is the same config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from framework.config.compose import compose
from framework.config.saved import load_resolved, save_resolved
from framework.config.yaml_text import write_yaml
from framework.spec.identifiers import ACTIVATIONS, INITIALIZERS
from framework.spec.validate import validate_experiment

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # each example is a whole composition
UNITS = st.integers(1, 4096)
FRACTION = st.floats(0.0, 0.9375, allow_nan=False)
PROMPT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: "$" not in text and text != "???"
)
TAG = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
INITIALIZER = st.sampled_from([name for name in INITIALIZERS if name != "identity"]) | st.fixed_dictionaries(
    {
        "class_name": st.just("random_normal"),
        "config": st.fixed_dictionaries({"stddev": st.floats(1e-8, 1.0), "seed": st.none() | st.integers(0, 9)}),
    }
)
GRU = st.fixed_dictionaries(
    {"kind": st.just("gru"), "units": UNITS, "return_sequences": st.just(True)},
    optional={
        "activation": st.none() | st.sampled_from(ACTIVATIONS),
        "recurrent_activation": st.none() | st.sampled_from(ACTIVATIONS),
        "use_bias": st.booleans(),
        "kernel_initializer": INITIALIZER,
        "recurrent_dropout": FRACTION,
        "dropout": FRACTION,
        "implementation": st.sampled_from([1, 2]),
        "use_cudnn": st.sampled_from([True, False, "auto"]),
        "seed": st.none() | st.integers(0, 2**31),
        "trainable": st.booleans(),
    },
)


@st.composite
def experiments(draw: st.DrawFn) -> dict[str, Any]:
    grus = draw(st.lists(GRU, min_size=1, max_size=3))
    layers: dict[str, Any] = {"embedding": {"kind": "embedding", "input_dim": "${size:tokens}", "output_dim": draw(UNITS)}}
    layers.update({f"gru_{index}": gru for index, gru in enumerate(grus)})
    layers["logits"] = {"kind": "dense", "units": "${size:tokens}"}
    return {
        "recipe": "own",
        "seed": draw(st.integers(0, 2**32 - 1)),
        "task": {"kind": "language_model"},
        "data": {"kind": "text", "path": draw(PROMPT | st.lists(PROMPT, min_size=1, max_size=2)), "batch_size": draw(UNITS)},
        "model": {"inputs": {"tokens": {"dtype": "int32", "shape": [None]}}, "layers": layers, "outputs": "logits"},
        "optimizer": {"kind": "adam", "learning_rate": draw(st.floats(1e-12, 10.0)), "epsilon": draw(st.floats(1e-12, 1.0))},
        "trainer": {"max_epochs": draw(UNITS), "gradient_clip_val": draw(st.none() | st.floats(1e-6, 1e6))},
        "decoding": {"prompt": draw(PROMPT), "temperature": draw(st.floats(0.01, 100.0))},
        "tracking": {"tags": draw(st.dictionaries(TAG, PROMPT, max_size=2))},
    }


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], value) for key, value in part.items())
    return type(whole) is type(part) and whole == part


@settings(
    max_examples=10, deadline=None, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(experiments())
def test_yaml_compose_and_save_keep_every_value(folder: Path, value: dict[str, Any]):
    recipe = folder / "configs" / "recipe" / "own.yaml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text("# @package _global_\n" + write_yaml(value), encoding="utf-8", newline="")
    composed = compose(["recipe=own"])
    assert contains(composed.mapping, value)
    experiment = validate_experiment(composed.mapping, composed.locate)
    save_resolved(Path("resolved.yaml"), composed.mapping)
    assert validate_experiment(load_resolved(Path("resolved.yaml"))) == experiment


@pytest.mark.parametrize("recipe", ["text_generation", "text_generation_stateless"])
def test_a_validated_experiment_survives_being_saved(folder: Path, recipe: str):
    experiment = validate_experiment(compose([f"recipe={recipe}"]).mapping)
    save_resolved(Path("resolved.yaml"), experiment.model_dump(mode="json"))
    assert validate_experiment(load_resolved(Path("resolved.yaml"))) == experiment
