"""JSON Schemas of the YAML, for editors: made from the specs, so that they know every kind that is registered."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from framework.config.field_docs import field_docs
from framework.config.location import SCHEMA_FOLDER
from framework.files import replace_text
from framework.spec.base import Spec
from framework.spec.experiment import Experiment
from framework.spec.kinds import DATA_KINDS, LAYER_KINDS
from framework.spec.model import ModelSpec
from framework.spec.optimizer import OPTIMIZER_KINDS
from framework.spec.targets import Drawn, Evaluation, Probe, PublishedCurve, Target, Targets, Variant
from framework.spec.task import TASK_KINDS

Schema = dict[str, Any]

WHOLE = "experiment"
"""Name of the schema of recipes and of every other file of the package ``_global_``."""

TARGETS = "targets"
"""Name of the schema of a recipe's ``targets.yaml``, which is no config."""

_KINDS: dict[str, Mapping[str, type[BaseModel]]] = {"data": DATA_KINDS, "task": TASK_KINDS, "optimizer": OPTIMIZER_KINDS}
"""Sections whose ``kind`` tells which keys they have."""

_GROUPS = ("model", "data", "optimizer", "trainer", "decoding", "tracking", "backend", "paths")

_INTERPOLATION: Schema = {
    "type": "string",
    "pattern": r"\$\{|^\?\?\?$",
    "description": "${key}, ${size:NAME}, or ??? for a value to be set.",
}

_DEFAULTS: Schema = {
    "description": "Other configs that this one is made of; later ones win.",
    "type": "array",
    "items": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": ["string", "null", "array"]}}]},
}


def json_schema() -> Schema:
    """The schema of a whole experiment, or of any part of one: a recipe, a file of the package ``_global_``."""
    definitions: Schema = {}
    fields = _documented(Experiment.model_json_schema(), Experiment)["properties"]
    properties = {name: _experiment_field(name, fields[name], definitions) for name in Experiment.model_fields}
    return _file(
        "A Gatework experiment, or a part of one.",
        {"type": "object", "properties": {**properties, "hydra": {"type": "object"}}, "additionalProperties": False},
        definitions,
    )


def group_schemas() -> dict[str, Schema]:
    """The schema of each group's files, by the name that their headers give.

    ``experiment`` is that of recipes and global files, ``targets`` that of the published figures beside a recipe.
    """
    schemas = {WHOLE: json_schema()}
    for group in _GROUPS:
        definitions: Schema = {}
        content = _section(group, definitions)
        if group in _KINDS:
            for kind in _KINDS[group].values():
                definitions[kind.__name__]["properties"]["defaults"] = _DEFAULTS
            content["anyOf"] = [{"required": ["kind"]}, {"required": ["defaults"]}]
        elif "$ref" in content:
            content = definitions.pop(content["$ref"].rpartition("/")[2])
        schemas[group] = _file(f"A file of Gatework's config group {group}.", content, definitions)
    return {**schemas, TARGETS: _targets()}


def schema_text(schema: Schema) -> str:
    """The text of a schema file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Writes one file for each group; the headers of YAML files beside ``folder`` find them as ``../schema/<group>.json``.

    Args:
        folder: made if it is missing; such as ``configs/schema``.
    """
    written = []
    for name, schema in group_schemas().items():
        path = folder / f"{name}.json"
        replace_text(path, schema_text(schema))
        written.append(path)
    return written


def schema_header(group: str, depth: int = 1) -> str:
    """The first line that tells an editor which schema a file has.

    Args:
        group: a key of :func:`group_schemas`.
        depth: folders between the file and the config folder.
    """
    return f"# yaml-language-server: $schema={'../' * depth}{SCHEMA_FOLDER}/{group}.json"


def _file(description: str, content: Schema, definitions: Schema) -> Schema:
    schema: Schema = {"$schema": "http://json-schema.org/draft-07/schema#", **content, "description": description}
    schema["properties"] = {"defaults": _DEFAULTS, **schema.get("properties", {})}
    return {**schema, "$defs": {"interpolation": _INTERPOLATION, **dict(sorted(definitions.items()))}}


def _targets() -> Schema:
    schema = _documented(Targets.model_json_schema(), Targets)
    specs = {spec.__name__: spec for spec in (Drawn, Evaluation, Probe, PublishedCurve, Target, Variant)}
    schema["$defs"] = {name: _documented(part, specs[name]) for name, part in schema["$defs"].items()}
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    untitled: Schema = _untitled(schema)
    return {**head, **untitled, "description": "What a Gatework recipe is compared with."}


def _untitled(value: Any) -> Any:
    """Without the titles that pydantic makes of names; a key that is called ``title`` stays."""
    if isinstance(value, list):
        return [_untitled(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: _untitled(part) for key, part in value.items() if not (key == "title" and isinstance(part, str))}


def _experiment_field(name: str, whole: Schema, definitions: Schema) -> Schema:
    if name in _KINDS or name in _GROUPS:
        return {**_section(name, definitions), "description": whole.get("description", "")}
    return _loose_value(whole)


def _section(name: str, definitions: Schema) -> Schema:
    if name in _KINDS:
        return _by_kind(_KINDS[name], definitions)
    if name == "model":
        return _model(definitions)
    section = Experiment.model_fields[name].annotation
    assert isinstance(section, type) and issubclass(section, BaseModel)
    return _reference(section, definitions)


def _model(definitions: Schema) -> Schema:
    _reference(ModelSpec, definitions)
    model: Schema = definitions.pop("ModelSpec")
    definitions.pop("LayerSpec", None)
    layers = {"type": "object", "description": "The layers, by name.", "additionalProperties": _by_kind(LAYER_KINDS, definitions)}
    model["properties"]["layers"] = layers
    return model


def _by_kind(kinds: Mapping[str, type[BaseModel]], definitions: Schema) -> Schema:
    """A mapping whose ``kind`` decides; without one, as in a file that changes single values, any key of any kind."""
    branches = []
    keys: set[str] = {"kind", "defaults"}
    for name, spec in sorted(kinds.items()):  # whatever was imported first
        reference = _reference(spec, definitions)
        keys.update(spec.model_fields)
        branches.append({"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": reference})
    unknown = {"if": {"not": {"required": ["kind"]}}, "then": {"propertyNames": {"enum": sorted(keys)}}}
    kind = {"description": "What it is.", "anyOf": [{"enum": sorted(kinds)}, {"$ref": "#/$defs/interpolation"}]}
    return {"type": "object", "properties": {"kind": kind}, "allOf": [*branches, unknown]}


def _reference(spec: type[BaseModel], definitions: Schema) -> Schema:
    if spec.__name__ not in definitions:
        definitions.update(copy.deepcopy(_definitions(spec)))
    return {"$ref": f"#/$defs/{spec.__name__}"}


@cache
def _definitions(spec: type[BaseModel]) -> Schema:
    schema = _documented(spec.model_json_schema(), spec)
    specs = {inner.__name__: inner for inner in _all_specs(Spec)}
    inner = {name: _documented(part, specs[name]) if name in specs else part for name, part in schema.pop("$defs", {}).items()}
    return {name: _loose(part) for name, part in {**inner, spec.__name__: schema}.items()}


def _documented(schema: Schema, spec: type[BaseModel]) -> Schema:
    for name, doc in field_docs(spec).items():
        schema["properties"][name].setdefault("description", doc)
    return schema


def _all_specs(spec: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield spec
    for derived in spec.__subclasses__():
        yield from _all_specs(derived)


def _loose(schema: Schema) -> Schema:
    """The schema of a spec without required keys, since a file may hold a part, and with interpolations for values."""
    loose = {key: value for key, value in schema.items() if key not in ("title", "required")}
    if "description" in loose:
        loose["description"] = loose["description"].split("\n\n")[0].replace("\n", " ").replace("``", "")
    default = loose.get("default")
    if isinstance(default, dict) and "class_name" in default and not default.get("config"):
        loose["default"] = default["class_name"]
    if "properties" in loose:
        loose["properties"] = {name: _loose_value(part) for name, part in loose["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(loose.get(key), dict):
            loose[key] = _loose_value(loose[key])
    if "anyOf" in loose:
        loose["anyOf"] = [_loose(branch) for branch in loose["anyOf"]]
    return loose


def _loose_value(schema: Schema) -> Schema:
    loose = _loose(schema)
    if loose.get("type") == "string" and not {"pattern", "enum", "const", "minLength"} & set(loose):
        return loose
    told: Schema = {key: loose.pop(key) for key in ("description", "default") if key in loose}
    branches = loose["anyOf"] if set(loose) == {"anyOf"} else [loose]
    return {**told, "anyOf": [*branches, {"$ref": "#/$defs/interpolation"}]}
