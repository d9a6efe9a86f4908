"""2,000 GRU mappings with known faults: every fault is named by its argument, and nothing else is ever raised."""

from __future__ import annotations

import copy
import random
from typing import Any, get_args

import pytest

from framework.errors import SpecError
from framework.spec.kinds import LAYER_KINDS
from framework.spec.layers.gru import GRUSpec
from framework.spec.validate import validate_experiment

MAPPINGS = 2000
BATCH = {
    "recipe": "mine",
    "data": {"kind": "text", "path": "my.txt"},
    "task": {"kind": "language_model"},
    "optimizer": {"kind": "adam"},
}
MODEL = {
    "inputs": {"x": {"dtype": "float32", "shape": [None, 3]}},
    "layers": {"gru": {"kind": "gru", "units": 5}},
    "outputs": "gru",
}
IDENTIFIERS = [
    "nope",
    "",
    3,
    0.5,
    True,
    [],
    ["tanh"],
    {},
    {"class_name": "nope"},
    {"class_name": 3},
    {"name": "tanh"},
    {"class_name": "l2", "config": 3},
]
WRONG: dict[str, list[Any]] = {
    "units": [-1, 0, 2.5, "x", None, True, [5], {}, "${size:}", float("nan")],
    "implementation": [0, 3, "1", None, 1.5],
    "use_cudnn": ["yes", 3, None, []],
    "seed": ["x", 1.5, []],
    "name": [3, []],
    "dtype": [32, []],
    "initial_state": [3, [], {}],
    "inputs": [3, [], {}],
    **{name: [-0.1, 1.1, "a", None, [], float("nan"), float("inf")] for name in ("dropout", "recurrent_dropout")},
    **{name: IDENTIFIERS for name in GRUSpec.model_fields if name.endswith(("activation", "_initializer", "_regularizer", "_constraint"))},
    **{name: ["yes", 3, None, 0.0, [], {}] for name, field in GRUSpec.model_fields.items() if field.annotation is bool},
}


def test_every_argument_has_wrong_values_here() -> None:
    assert set(GRUSpec.model_fields) - set(WRONG) == {"kind"}
    assert get_args(GRUSpec.model_fields["use_cudnn"].annotation)


def test_every_fault_is_named() -> None:
    source = random.Random(0)
    for number in range(MAPPINGS):
        faults = {name: source.choice(WRONG[name]) for name in source.sample(sorted(WRONG), source.randint(1, 3))}
        if source.random() < 0.3:
            faults[source.choice(["unit", "Units", "activations", "stateful_", "reset", "time-major", "0"])] = source.choice([1, None, "x"])
        mapping: dict[str, Any] = {**copy.deepcopy(BATCH), "model": copy.deepcopy(MODEL)}
        mapping["model"]["layers"]["gru"].update(faults)
        with pytest.raises(SpecError) as caught:
            validate_experiment(mapping)
        named = {problem.path for problem in caught.value.problems}
        missing = [name for name in faults if not any(path.startswith(f"model.layers.gru.{name}") for path in named)]
        assert not missing, f"mapping {number}: {faults} gave only {sorted(named)}"
        assert str(caught.value).count("\n") >= len(faults)


def test_the_kind_is_known() -> None:
    assert LAYER_KINDS["gru"] is GRUSpec
