"""The shipped YAML says what the specs and the documentation say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from framework.config.location import shipped_configs
from framework.config.yaml_file import read_yaml
from framework.spec.backend import BackendSpec
from framework.spec.decoding import DecodingSpec
from framework.spec.experiment import Experiment, PathsSpec
from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec
from framework.spec.optimizer import OPTIMIZER_KINDS
from framework.spec.tracking import TrackingSpec
from framework.spec.trainer import TrainerSpec

# The signature that the TensorFlow 2.0 documentation prints for tf.compat.v2.keras.layers.GRU, units left out.
DOCUMENTED = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "kernel_regularizer": None,
    "recurrent_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "recurrent_constraint": None,
    "bias_constraint": None,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "implementation": 2,
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "time_major": False,
    "reset_after": True,
}
# Keras 3 has these too, and every Keras layer name, dtype and trainable.
LATER = {"seed": None, "use_cudnn": "auto", "zero_output_for_mask": False, "name": None, "dtype": None, "trainable": True}


def plain(value: Any) -> Any:
    return value.class_name if isinstance(value, Identifier) else value


def defaults(spec: type) -> dict[str, Any]:
    return {name: plain(field.get_default(call_default_factory=True)) for name, field in spec.model_fields.items()}


def read(name: str) -> dict[str, Any]:
    return read_yaml(shipped_configs() / f"{name}.yaml")


def test_the_reference_model_writes_out_the_documented_gru():
    gru = read("model/gru_reference")["layers"]["gru"]
    for name, default in DOCUMENTED.items():
        assert gru[name] == (True if name == "return_sequences" else default), name
    for name, default in LATER.items():
        assert gru[name] == default, name
    assert set(gru) == {"kind", "inputs", "units", "initial_state", *DOCUMENTED, *LATER}


def test_the_gru_spec_has_the_documented_defaults():
    spec = defaults(GRUSpec)
    assert {name: spec[name] for name in DOCUMENTED} == DOCUMENTED
    assert {name: spec[name] for name in LATER} == LATER
    assert set(spec) == set(read("model/gru_reference")["layers"]["gru"])


def test_every_argument_of_the_reference_model_has_a_comment():
    text = (shipped_configs() / "model/gru_reference.yaml").read_text(encoding="utf-8")
    lines = text.partition("\n  gru:\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == len(read("model/gru_reference")["layers"]["gru"])
    assert [line for line in lines[1:] if not re.search(r"\S +# \S", line)] == []


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("trainer/default", TrainerSpec),
        ("decoding/sample", DecodingSpec),
        ("tracking/mlflow", TrackingSpec),
        ("paths/default", PathsSpec),
        ("backend/torch", BackendSpec),
        ("config", Experiment),
        *((f"optimizer/{kind}", spec) for kind, spec in OPTIMIZER_KINDS.items()),
    ],
)
def test_defaults_that_are_written_out_are_the_specs(name, spec):
    written = {key: value for key, value in read(name).items() if key not in ("defaults", "hydra")}
    assert written
    expected = defaults(spec)
    for key, value in written.items():
        default = expected[key]
        if isinstance(value, dict) and value:
            default = {part: getattr(default, part) for part in value}
        assert value == default, key


def test_every_optimizer_has_its_file():
    assert {path.stem for path in (shipped_configs() / "optimizer").glob("*.yaml")} == set(OPTIMIZER_KINDS)


@pytest.mark.parametrize("path", sorted(shipped_configs().rglob("*.yaml")), ids=lambda path: path.stem)
def test_lines_fit_and_have_no_tabs(path: Path):
    for line in path.read_text(encoding="utf-8").splitlines():
        assert len(line) <= 140
        assert "\t" not in line
        assert line == line.rstrip()
