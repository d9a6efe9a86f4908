"""A config is judged as a whole: every problem, each with its key, what was expected and the nearest valid name."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import EXIT_USER_INPUT, Origin, Problem, SpecError
from framework.spec.kinds import LAYER_KINDS
from framework.spec.validate import validate_experiment

VALID: dict[str, Any] = {
    "recipe": "mine",
    "backend": {"name": "torch"},
    "data": {"kind": "text", "path": "my.txt", "batch_size": 8},
    "task": {"kind": "language_model"},
    "optimizer": {"kind": "adam"},
    "model": {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": 8}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": "${size:tokens}", "output_dim": 4},
            "gru": {"kind": "gru", "units": 5, "return_sequences": True, "stateful": True},
            "logits": {"kind": "dense", "units": "${size:tokens}"},
        },
        "outputs": "logits",
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid config with one key set; ``...`` takes the key out."""
    mapping = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    here = mapping
    for part in parents:
        here = here.setdefault(part, {})
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return mapping


def problems_of(mapping: dict[str, Any]) -> dict[str, Problem]:
    with pytest.raises(SpecError) as caught:
        validate_experiment(mapping)
    return {problem.path: problem for problem in caught.value.problems}


def only_problem(path: str, value: Any) -> Problem:
    problems = problems_of(changed(path, value))
    assert len(problems) == 1, list(problems)
    return next(iter(problems.values()))


def test_a_valid_config_keeps_open_sizes_and_fills_defaults_in() -> None:
    experiment = validate_experiment(VALID)
    assert experiment.model.layers["logits"].units == "${size:tokens}"  # type: ignore[attr-defined]
    assert (experiment.seed, experiment.trainer.max_epochs, experiment.optimizer.learning_rate) == (0, 10, 1e-3)


@pytest.mark.parametrize(
    ("path", "value", "at", "says", "expected", "suggestion"),
    [
        ("model.layers.gru.units", -3, None, "not accepted", "a whole number above 0, or ${size:NAME}", None),
        ("model.layers.gru.units", True, None, "not accepted", "a whole number above 0", None),
        ("model.layers.gru.units", "many", None, "not accepted", "a whole number above 0, or ${size:NAME}", None),
        ("model.layers.gru.units", ..., None, "is missing", "a whole number above 0", None),
        ("model.layers.gru.unitz", 3, None, "unknown key 'unitz'", "units", "units"),
        ("model.layers.gru.activation", "tanhh", None, "unknown activation 'tanhh'", "tanh", "tanh"),
        ("model.layers.gru.kernel_initializer", "glorot_unifrom", None, "unknown initializer", "glorot_uniform", "glorot_uniform"),
        (
            "model.layers.gru.kernel_regularizer",
            {"class_name": "L2", "config": {"l1": 0.1}},
            None,
            "'l2' has no setting 'l1'",
            "one of l2",
            None,
        ),
        ("model.layers.gru.bias_constraint", {"name": "non_neg"}, None, "not a constraint name", "class_name", None),
        ("model.layers.gru.dropout", 1.5, None, "not accepted", "of at least 0 and up to 1", None),
        ("model.layers.gru.implementation", 3, None, "not accepted", "one of 1, 2", None),
        ("model.layers.gru.use_cudnn", "yes", None, "not accepted", "true or false, or auto", "true"),
        ("model.layers.gru.kind", "gruu", None, "unknown kind 'gruu'", "gru", "gru"),
        ("model.layers.gru.kind", ..., None, "is missing", "gru", None),
        ("model.layers.gru", 3, None, "must be a mapping", "kind", None),
        ("model.layers.gru.inputs", "embeding", None, "no layer or model input 'embeding'", "embedding", "embedding"),
        ("model.layers.embedding.inputs", "tokens.state", None, "model input 'tokens' has no output 'state'", "tokens", None),
        ("model.layers.logits.inputs", "gru.state", None, "does not give its state", None, None),
        ("model.layers.logits.inputs", "gru.stat", None, "no output 'stat'", "gru", None),
        ("model.outputs", "logit", None, "no layer or model input 'logit'", "logits", "logits"),
        ("model.outputs", ..., None, "is missing", "the name of a layer", None),
        ("model.layers", ..., None, "missing or no mapping", "a mapping from names to layers", None),
        ("model.inputs", ..., None, "missing or no mapping", "a mapping from names", None),
        ("model.layers.gru.initial_state", "logits", "model.layers.gru", "in a circle", None, None),
        ("model.layers.tail", {"kind": "dense", "units": 3}, None, "nothing reads this layer", None, None),
        ("model.layers.tokens", {"kind": "dense", "units": 3}, None, "a model input is called 'tokens' too", "different names", None),
        ("model.inputs.tokens.batch_size", None, "model.layers.gru.stateful", "a stateful layer needs a fixed batch", None, None),
        ("model.inputs.tokens.batch_size", 4, None, "differs from data.batch_size", "8", None),
        ("model.layers.logits.units", "${size:token}", None, "provides no size 'token'", "${size:tokens}", "tokens"),
        ("data.drop_remainder", False, None, "a last short batch does not fit a fixed batch", None, None),
        ("data.path", None, None, "is missing", "a file, folder or glob", None),
        ("data.max_vocabulary", 10, None, "have nowhere to go", None, None),
        ("data.shuffle_buffer", 0, None, "not accepted", "above 0", None),
        (
            "data",
            {"kind": "text", "path": "my.txt", "batch_size": 8, "order": "contiguous", "shuffle_buffer": 9},
            "data.shuffle_buffer",
            "contiguous windows are not shuffled",
            None,
            None,
        ),
        ("data.kind", "txt", None, "unknown kind 'txt'", "text", "text"),
        ("decoding", {"n_best": 2}, "decoding.n_best", "strategy sample gives one sequence", None, None),
        ("decoding", {"strategy": "beam", "n_best": 6}, "decoding.n_best", "more sequences than are followed", "5 at most", None),
        ("decoding", {"length_penalty": -1.0}, "decoding.length_penalty", "not accepted", "of at least 0", None),
        ("decoding", {"strategy": "beem"}, "decoding.strategy", "not accepted", "beam", "beam"),
        ("trainer.precision", "bf16", None, "not accepted", "bf16-mixed", None),
        ("trainer.early_stopping", {"monitor": "val_loss"}, "trainer.early_stopping.monitor", "there is no validation", None, None),
        ("trainer.checkpoint.every_n_step", 3, None, "unknown key 'every_n_step'", "every_n_steps", "every_n_steps"),
        ("optimizer.beta_1", 1.0, None, "not accepted", "below 1", None),
        ("optimizer.schedule.kind", "cosin", None, "not accepted", "cosine", "cosine"),
        ("trianer", {}, None, "unknown key 'trianer'", "trainer", "trainer"),
        ("seed", -1, None, "not accepted", "of at least 0", None),
        ("name", "../up", None, "not accepted", "text that matches", None),
        ("model", ..., None, "is missing", "a mapping", None),
        ("recipe", ..., None, "is missing", "text that matches", None),
    ],
)
def test_each_slip_is_named(path: str, value: Any, at: str | None, says: str, expected: str | None, suggestion: str | None) -> None:
    problem = only_problem(path, value)
    assert problem.path == (at or path)
    assert says in problem.message
    assert expected is None or expected in (problem.expected or "")
    assert problem.suggestion == suggestion


@pytest.mark.parametrize("version", [99, 0, "1"])
def test_another_version_is_refused(version: object) -> None:
    problems = problems_of(changed("spec_version", version))
    assert list(problems) == ["spec_version"]
    assert "at most 1" in str(problems["spec_version"].expected) or "from 1 to 1" in str(problems["spec_version"].expected)


def test_all_problems_are_reported_at_once_with_their_origin() -> None:
    mapping = changed("model.layers.gru.units", 0)
    mapping["model"]["layers"]["logits"]["unit"] = 3
    mapping["trainer"] = {"max_epochs": 0}
    with pytest.raises(SpecError) as caught:
        validate_experiment(mapping, lambda path: Origin("mine.yaml", 7) if path == "model.layers.gru.units" else None)
    text = str(caught.value)
    assert [problem.path for problem in caught.value.problems] == [
        "model.layers.gru.units",
        "model.layers.logits.unit",
        "trainer.max_epochs",
    ]
    assert "3 problems in the config" in text
    assert "set in: mine.yaml:7" in text
    assert caught.value.exit_code == EXIT_USER_INPUT


def test_a_reference_with_a_slip_is_one_problem_not_two() -> None:
    assert list(problems_of(changed("model.layers.logits.inputs", "gruu"))) == ["model.layers.logits.inputs"]


def test_an_input_that_nothing_reads() -> None:
    mapping = changed("model.inputs.image", {"dtype": "float32", "shape": [3]})
    mapping["model"]["inputs"]["image"]["batch_size"] = 8
    mapping["model"]["layers"]["embedding"]["inputs"] = "tokens"
    problems = problems_of(mapping)
    assert [(path, one.message) for path, one in problems.items()] == [("model.inputs.image", "no layer reads this model input")]


def test_with_several_inputs_the_first_layer_must_say_what_it_reads() -> None:
    mapping = changed("model.inputs.image", {"dtype": "float32", "shape": [3], "batch_size": 8})
    assert problems_of(mapping)["model.layers.embedding.inputs"].message == "is missing"


BIDIRECTIONAL = {"kind": "bidirectional", "layer": {"kind": "gru", "units": 5, "return_sequences": True}}


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        ({"backward_layer": {"units": 5, "return_sequences": True}}, "backward_layer.go_backwards", "run the same way"),
        ({"backward_layer": {"units": 5, "go_backwards": True}}, "backward_layer.return_sequences", "differs from the forward layer"),
        (
            {"merge_mode": "sum", "backward_layer": {"units": 4, "return_sequences": True, "go_backwards": True}},
            "backward_layer.units",
            "merge_mode sum needs equal units",
        ),
        ({"layer": {"units": 5, "return_sequences": True, "stateful": True}}, "layer.stateful", "not supported inside bidirectional"),
        ({"layer": {"units": 5, "return_sequences": True, "inputs": "tokens"}}, "layer.inputs", "reads what the bidirectional"),
        ({"layer": {"units": 5, "return_sequences": True, "time_major": True}}, "layer.time_major", "not supported inside bidirectional"),
        ({"merge_mode": "mean"}, "merge_mode", "not accepted"),
    ],
)
def test_bidirectional_rules(change: dict[str, Any], at: str, says: str) -> None:
    problem = only_problem("model.layers.gru", {**BIDIRECTIONAL, **change})
    assert problem.path == f"model.layers.gru.{at}"
    assert says in problem.message


def random_value(source: random.Random) -> Any:
    plain = [None, True, False, -1, 0, 1, 2, 2.5, float("nan"), float("inf"), 10**30, b"x", [], [1], ["a"], {}, {"a": 1}]
    names = ["", "tanh", "gru", "${size:tokens}", "${size:x}", {"class_name": "l2"}, {"class_name": 3}]
    return source.choice([*plain, *names, {"class_name": "l2", "config": {"l2": "x"}}])


@given(st.integers(min_value=0, max_value=2**32))
def test_a_random_gru_mapping_is_valid_or_gives_a_spec_error_that_names_the_argument(seed: int) -> None:
    source = random.Random(seed)
    fields = [*LAYER_KINDS["gru"].model_fields, "unit", "Activation", "", "inputs.x"]
    mapping = {source.choice(fields): random_value(source) for _ in range(source.randint(1, 6))}
    config = changed("model.layers.gru", {"kind": "gru", "units": 5, "return_sequences": True, **mapping})
    try:
        validate_experiment(config)
    except SpecError as error:
        for problem in error.problems:
            assert problem.path.startswith("model.")
            assert problem.message
