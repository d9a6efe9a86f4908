"""From a composed mapping to an :class:`Experiment`, or to every problem that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from framework.errors import Problem, SpecError, nearest
from framework.registry import broken_plugins
from framework.spec.backend import BackendSpec
from framework.spec.base import SPEC_VERSION, Spec
from framework.spec.decoding import DecodingSpec
from framework.spec.experiment import Experiment, PathsSpec, RunSettings
from framework.spec.kinds import DATA_KINDS, LAYER_KINDS
from framework.spec.layers.base import LayerSpec
from framework.spec.model import InputSpec, ModelSpec
from framework.spec.optimizer import OPTIMIZER_KINDS
from framework.spec.problems import KEY, Locate, ProblemCollector, Written, choices, is_key, nowhere, render, unwritten
from framework.spec.rules import check_experiment
from framework.spec.task import TASK_KINDS
from framework.spec.tracking import TrackingSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.wiring import Wires, check_wiring, wires_of, wires_of_raw

_PLAIN_SECTIONS: dict[str, type[Spec]] = {
    "backend": BackendSpec,
    "trainer": TrainerSpec,
    "decoding": DecodingSpec,
    "tracking": TrackingSpec,
    "paths": PathsSpec,
}
_KIND_SECTIONS: dict[str, Mapping[str, type[Spec]]] = {"data": DATA_KINDS, "task": TASK_KINDS, "optimizer": OPTIMIZER_KINDS}
_SECTIONS = ("model", *_KIND_SECTIONS, *_PLAIN_SECTIONS)

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHOWN = 120

AnySpec = TypeVar("AnySpec", bound=Spec)


def validate_experiment(
    mapping: Mapping[str, Any], locate: Locate = nowhere, problems: Sequence[Problem] = (), written: Written = unwritten
) -> Experiment:
    """Checks a composed config as a whole.

    Args:
        mapping: plain dicts and lists; ``${size:NAME}`` may be open.
        locate: where each key was set, for the messages.
        problems: what is known to be wrong already, of values that nobody knows; told with the others.
        written: each value as it was written.

    Raises:
        SpecError: with every problem found.
    """
    collector = ProblemCollector(locate, problems, written)
    _check_values(collector, mapping, "")
    check_version(collector, mapping, "")
    if len(collector.problems) > len(problems):
        raise SpecError(collector.problems)
    for key in mapping:
        if key not in Experiment.model_fields:
            collector.unknown_key("", str(key), list(Experiment.model_fields))
    sections: dict[str, Any] = {}
    for key in _SECTIONS:
        if key in mapping:
            sections[key] = _parse_section(collector, key, mapping[key])
        elif key in _PLAIN_SECTIONS:
            sections[key] = _PLAIN_SECTIONS[key]()
        else:
            collector.add(key, "is missing", expected="a mapping", hint="a recipe brings it, such as recipe=text_generation")
    return _assemble(collector, mapping, sections)


def _check_values(collector: ProblemCollector, value: Any, path: str) -> None:
    """Values that no part of a config can have, whatever its spec says of them."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            below = f"{path}.{key}" if path else str(key)
            if not is_key(str(key)):
                collector.add(below, f"{render(str(key))} is no key", expected=KEY)
            else:
                _check_values(collector, part, below)
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            _check_values(collector, part, f"{path}.{index}")
    elif isinstance(value, str) and (found := _NO_TEXT.search(value)):
        message = "half of a character" if found[0] != "\0" else "the character NUL, which no text and no path has"
        collector.add(path, f"the text holds {message}", value=ascii(value)[:_SHOWN], expected="text that UTF-8 can write, without NUL")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        collector.add(path, "a number too large to count with", value=render(value), expected="a whole number of 64 bits")


def valid_section(mapping: Mapping[str, Any], key: str, problems: Sequence[Problem] = (), written: Written = unwritten) -> Any:
    """One section of a config that may be wrong elsewhere; None where the section itself is, or where a value of it is not known.

    Args:
        mapping: the whole config.
        key: the section.
        problems: of values that nobody knows.
        written: each value as it was written.
    """
    collector = ProblemCollector(known=problems, written=written)
    if key not in mapping or collector.is_open(key):
        return None
    section = _parse_section(collector, key, mapping[key])
    return section if len(collector.problems) == len(problems) else None


def validate_model(mapping: Mapping[str, Any], locate: Locate = nowhere) -> ModelSpec:
    """Checks a model on its own, as saved beside its weights.

    Raises:
        SpecError: with every problem found.
    """
    collector = ProblemCollector(locate)
    check_version(collector, mapping, "model")
    model = parse_model(collector, mapping)
    if model is None or collector.problems:
        raise SpecError(collector.problems)
    return model


def check_version(collector: ProblemCollector, mapping: Mapping[str, Any], path: str) -> None:
    """A config written by a newer version is refused: its keys may mean something else."""
    version = mapping.get("spec_version", SPEC_VERSION)
    where = f"{path}.spec_version" if path else "spec_version"
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        collector.add(where, "value not accepted", value=render(version), expected=f"a whole number from 1 to {SPEC_VERSION}")
    elif version > SPEC_VERSION:
        collector.add(
            where,
            "written by a newer Gatework",
            value=str(version),
            expected=f"at most {SPEC_VERSION}",
            hint="install a newer gatework",
        )


def _assemble(collector: ProblemCollector, mapping: Mapping[str, Any], sections: Mapping[str, Any]) -> Experiment:
    settings = collector.parse(RunSettings, {key: mapping[key] for key in RunSettings.model_fields if key in mapping}, "")
    if settings is None or None in sections.values() or set(sections) < set(_SECTIONS):
        raise SpecError(collector.problems)
    experiment = Experiment.model_construct(**settings.model_dump(), **sections)
    check_experiment(collector, experiment)
    if collector.problems:
        raise SpecError(collector.problems)
    return experiment


def _parse_section(collector: ProblemCollector, key: str, value: Any) -> Any:
    if key == "model":
        return parse_model(collector, value)
    if key in _PLAIN_SECTIONS:
        return collector.parse(_PLAIN_SECTIONS[key], value, key)
    return parse_kind(collector, _KIND_SECTIONS[key], value, key)


def parse_kind(collector: ProblemCollector, kinds: Mapping[str, type[AnySpec]], value: Any, path: str) -> AnySpec | None:
    """A section whose ``kind`` chooses the class that checks it."""
    if not isinstance(value, Mapping):
        collector.add(path, "must be a mapping", value=render(value), expected="a mapping with a kind")
        return None
    kind = value.get("kind")
    if kind is None:
        collector.add(f"{path}.kind", "is missing", expected=choices(list(kinds)))
        return None
    if not isinstance(kind, str) or kind not in kinds:
        collector.add(
            f"{path}.kind",
            f"unknown kind {render(kind)}",
            expected=choices(list(kinds)),
            suggestion=nearest(kind, kinds) if isinstance(kind, str) else None,
            hint=broken_plugins(),
        )
        return None
    return collector.parse(kinds[kind], value, path)


def parse_model(collector: ProblemCollector, value: Any) -> ModelSpec | None:
    """A model: each layer by its kind, then the wiring of all, as far as it can be told."""
    if not isinstance(value, Mapping):
        collector.add("model", "must be a mapping", value=render(value), expected="a mapping with inputs, layers and outputs")
        return None
    for key in value:
        if key not in ModelSpec.model_fields:
            collector.unknown_key("model", str(key), list(ModelSpec.model_fields))
    inputs = _parse_inputs(collector, value.get("inputs"))
    layers = _parse_layers(collector, value.get("layers"))
    outputs = _parse_outputs(collector, value.get("outputs"))
    if inputs is None or layers is None:
        return None
    if not collector.is_open("model"):  # nobody knows what a layer reads
        _check_wires(collector, inputs, layers, value["layers"], outputs)
    valid_inputs = {name: one for name, one in inputs.items() if one is not None}
    valid_layers = {name: one for name, one in layers.items() if one is not None}
    if outputs is None or len(valid_inputs) < len(inputs) or len(valid_layers) < len(layers):
        return None
    named = outputs["output"] if list(outputs) == ["output"] and isinstance(value["outputs"], str) else outputs
    version = value.get("spec_version", SPEC_VERSION)
    return ModelSpec.model_construct(spec_version=version, inputs=valid_inputs, layers=valid_layers, outputs=named)


def _parse_inputs(collector: ProblemCollector, value: Any) -> dict[str, InputSpec | None] | None:
    if not isinstance(value, Mapping) or not value:
        expected = "a mapping from names to {dtype, shape}"
        collector.add("model.inputs", "is missing or no mapping", value=None if value is None else render(value), expected=expected)
        return None
    return {str(name): collector.parse(InputSpec, entry, f"model.inputs.{name}") for name, entry in value.items()}


def _parse_layers(collector: ProblemCollector, value: Any) -> dict[str, LayerSpec | None] | None:
    if not isinstance(value, Mapping) or not value:
        expected = "a mapping from names to layers"
        collector.add("model.layers", "is missing or no mapping", value=None if value is None else render(value), expected=expected)
        return None
    layers: dict[str, LayerSpec | None] = {}
    for name, entry in value.items():
        path = f"model.layers.{name}"
        others = [str(other) for other, its in value.items() if isinstance(its, Mapping) and "kind" in its]
        if isinstance(entry, Mapping) and "kind" not in entry and (close := nearest(str(name), others)):
            # Most likely a slip in a layer's name; what else is wrong with a layer of that name only distracts.
            collector.add(path, f"no layer '{name}', and no kind for a new one", expected=choices(others), suggestion=close)
            continue
        layers[str(name)] = parse_kind(collector, LAYER_KINDS, entry, path)
    return layers


def _parse_outputs(collector: ProblemCollector, value: Any) -> dict[str, str] | None:
    if isinstance(value, str):
        return {"output": value}
    if isinstance(value, Mapping) and value and all(isinstance(one, str) for one in value.values()):
        return {str(name): one for name, one in value.items()}
    message = "is missing" if value is None else "value not accepted"
    expected = "the name of a layer, or a mapping from names to layers"
    collector.add("model.outputs", message, value=None if value is None else render(value), expected=expected)
    return None


def _check_wires(
    collector: ProblemCollector,
    inputs: Mapping[str, InputSpec | None],
    layers: Mapping[str, LayerSpec | None],
    raw: Mapping[str, Any],
    outputs: Mapping[str, str] | None,
) -> None:
    before = next(iter(inputs)) if len(inputs) == 1 else None
    wires: dict[str, Wires] = {}
    for name, layer in layers.items():
        wires[name] = wires_of(layer, before) if layer is not None else wires_of_raw(raw[name], before)
        before = name
    if outputs is None:  # nothing to say about unread layers while nobody knows the outputs
        outputs = {name: name for name in layers}
    check_wiring(collector, inputs, wires, outputs)
