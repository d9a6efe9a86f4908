from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from framework.config.location import shipped_configs
from framework.config.schema import group_schemas, json_schema, schema_header, schema_text, write_schemas
from framework.config.yaml_file import read_yaml
from framework.spec.kinds import LAYER_KINDS

SHIPPED = sorted(shipped_configs().rglob("*.yaml"), key=str)
SCHEMAS = group_schemas()


def name_of(path) -> str:
    return path.relative_to(shipped_configs()).as_posix()


def wrong(name: str, value: Any) -> list[str]:
    found = jsonschema.Draft7Validator(SCHEMAS[name]).iter_errors(value)
    return [".".join(map(str, error.absolute_path)) or error.message for error in found]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
def test_schemas_are_schemas(schema):
    jsonschema.Draft7Validator.check_schema(schema)


def test_the_schemas_in_the_configs_folder_are_current():
    folder = shipped_configs() / "schema"
    assert {path.stem for path in folder.iterdir()} == set(SCHEMAS)
    for name, schema in SCHEMAS.items():
        assert (folder / f"{name}.json").read_text(encoding="utf-8") == schema_text(schema), (
            f"{name}.json is behind the specs; run: python -m framework schema --write configs/schema"
        )


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_every_shipped_file_names_its_schema_and_satisfies_it(path):
    name = name_of(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = lines[0] == "# @package _global_" or name == "config.yaml"
    group = "experiment" if whole else name.split("/")[0]
    # Hydra reads the package only from the very first lines.
    assert lines[int(lines[0].startswith("# @package"))] == schema_header(group, depth=name.count("/"))
    assert wrong(group, read_yaml(path)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_every_shipped_file_says_how_to_launch_it_and_what_its_values_are(path):
    text = path.read_text(encoding="utf-8")
    group, _, option = name_of(path).removesuffix(".yaml").partition("/")
    header = text.partition("\n\n")[0]
    assert re.search(r"^#   gatework (train|explain) recipe=", header, re.MULTILINE)
    if option and option != "default":
        assert f"{group}={option}" in header
    prose = [line for line in header.splitlines() if line.startswith("# ") and "$schema" not in line and "@package" not in line]
    assert prose


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", {"layers": {"gru": {"kind": "gru", "units": 3, "activation": {"class_name": "tanh"}}}}),
        ("model", {"layers": {"gru": {"units": "${size:tokens}", "dropout": "${other}", "use_bias": "???"}}}),
        ("model", {"layers": {"all": {"kind": "bidirectional", "layer": {"units": 3}}}}),
        ("model", {"inputs": {"tokens": {"shape": [None, "${data.x}"]}}}),
        ("data", {"defaults": ["text"], "batch_size": 3}),
        ("data", {"kind": "text", "path": ["a", "b"], "declared_sizes": {"tokens": 3}}),
        ("optimizer", {"kind": "adam", "schedule": {"kind": "cosine"}}),
        ("trainer", {"early_stopping": {"patience": 3}, "checkpoint": {"monitor": "loss"}}),
        ("experiment", {"defaults": ["_self_", {"override /model": "x"}, {"/debug": None}], "hydra": {"mode": "MULTIRUN"}}),
        ("experiment", {"model": {"layers": {"gru": {"units": 5}}}, "data": {"unknown": "replace"}, "seed": "${oc.env:SEED}"}),
    ],
)
def test_what_is_right(name, value):
    assert wrong(name, value) == []


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("model", {"layers": {"gru": {"kind": "gru", "unitz": 3}}}, "layers.gru"),
        ("model", {"layers": {"gru": {"unitz": 3}}}, "layers.gru"),
        ("model", {"layers": {"gru": {"kind": "gruu"}}}, "layers.gru.kind"),
        ("model", {"layers": {"gru": {"kind": "gru", "units": "many"}}}, "layers.gru.units"),
        ("model", {"layers": {"gru": {"kind": "gru", "dropout": 2}}}, "layers.gru.dropout"),
        ("model", {"layers": {"gru": {"kind": "gru", "activation": "tanhh"}}}, "layers.gru.activation"),
        ("data", {"kind": "text", "order": "random"}, "order"),
        ("optimizer", {"kind": "sgd", "beta_1": 0.5}, "Additional properties are not allowed ('beta_1' was unexpected)"),
        ("trainer", {"max_epochs": 0}, "max_epochs"),
        ("experiment", {"trainer": {"max_epoch": 3}}, "trainer"),
        ("experiment", {"backend": "torch"}, "backend"),
        ("experiment", {"trianer": {}}, "Additional properties are not allowed ('trianer' was unexpected)"),
    ],
)
def test_what_is_wrong(name, value, where):
    assert where in wrong(name, value)


def test_a_kind_is_required_where_nothing_is_inherited():
    assert wrong("data", {"batch_size": 3})
    assert wrong("optimizer", {"learning_rate": 3.0})


def test_every_kind_of_layer_is_offered():
    kinds = SCHEMAS["model"]["properties"]["layers"]["additionalProperties"]["properties"]["kind"]
    assert kinds["anyOf"][0]["enum"] == sorted(LAYER_KINDS)


def test_editors_can_show_what_a_key_means():
    gru = SCHEMAS["model"]["$defs"]["GRUSpec"]["properties"]
    assert gru["units"]["description"] == "Dimensionality of the output space."
    assert gru["recurrent_initializer"]["default"] == "orthogonal"
    assert "description" in SCHEMAS["experiment"]["properties"]["seed"]


def test_writing(tmp_path):
    written = write_schemas(tmp_path / "deep" / "schema")
    schemas = group_schemas()  # of now: other tests may have brought kinds of their own
    assert {path.stem: json.loads(path.read_text()) for path in written} == schemas
    assert json_schema() == schemas["experiment"]
