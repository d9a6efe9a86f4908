"""The rules of a model's wiring: every reference names something, everything is read, nothing reads itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from framework.errors import nearest
from framework.spec.layers.base import LAYER_KINDS, LayerSpec
from framework.spec.problems import ProblemCollector, choices


@dataclass(frozen=True)
class Wires:
    """What one layer reads and offers; taken from the raw mapping where the layer itself is not valid.

    Attributes:
        references: (field, reference) as written, the default of ``inputs`` filled in.
        outputs: names of what it can be read for.
        hidden: outputs that its kind has but its settings switch off, with the setting that switches them on.
    """

    references: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    hidden: Mapping[str, str]


def wires_of(layer: LayerSpec, before: str | None) -> Wires:
    """The wires of a valid layer; ``before`` is what ``inputs`` defaults to."""
    references = list(layer.references())
    if layer.inputs is None and before is not None:
        references.insert(0, ("inputs", before))
    hidden = {}
    if "state" in layer.outputs and not getattr(layer, "return_state", True):
        hidden["state"] = "return_state: true"
    return Wires(tuple(references), tuple(name for name in layer.outputs if name not in hidden), hidden)


def wires_of_raw(layer: object, before: str | None) -> Wires:
    """As much of the wires as an invalid layer's mapping tells."""
    mapping = layer if isinstance(layer, Mapping) else {}
    kind = LAYER_KINDS.get(str(mapping.get("kind")))
    references: list[tuple[str, str]] = []
    for field in kind.reference_fields if kind else ("inputs", "initial_state"):
        given = mapping.get(field)
        for reference in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
            if isinstance(reference, str):
                references.append((field, reference))
    if mapping.get("inputs") is None and before is not None:
        references.insert(0, ("inputs", before))
    return Wires(tuple(references), kind.outputs if kind else ("output", "state"), {})


def check_wiring(collector: ProblemCollector, inputs: Iterable[str], layers: Mapping[str, Wires], outputs: Mapping[str, str]) -> None:
    """Adds a problem for each broken rule of the wiring.

    Args:
        collector: gathers the problems.
        inputs: names of the model's inputs.
        layers: wires by layer, in the config's order.
        outputs: references by output name; the single output is called ``output``.
    """
    names = list(inputs)
    if not _check_names(collector, names, layers):
        return
    read: set[str] = set()
    for name, wires in layers.items():
        if not any(field == "inputs" for field, _ in wires.references):
            collector.add(f"model.layers.{name}.inputs", "is missing", expected=choices([*names, *layers]))
        for field, reference in wires.references:
            read.add(_check_reference(collector, f"model.layers.{name}.{field}", reference, names, layers))
    for name, reference in outputs.items():
        path = "model.outputs" if name == "output" else f"model.outputs.{name}"
        read.add(_check_reference(collector, path, reference, names, layers))
    _check_unread(collector, names, layers, read)
    _check_cycles(collector, layers)


def _check_names(collector: ProblemCollector, inputs: list[str], layers: Mapping[str, Wires]) -> bool:
    """Whether names tell layers and model inputs apart; the other rules mean nothing where they do not."""
    before = len(collector.problems)
    for name in layers:
        if name in inputs:
            collector.add(f"model.layers.{name}", f"a model input is called '{name}' too", expected="different names")
        if "." in name or "/" in name or not name:
            collector.add(f"model.layers.{name}", "a layer's name is empty, or holds '.' or '/'", expected="letters, digits, '_' and '-'")
    return len(collector.problems) == before


def _check_reference(collector: ProblemCollector, path: str, reference: str, inputs: list[str], layers: Mapping[str, Wires]) -> str:
    """Checks one reference; returns the node that was meant, so that one slip is not reported twice."""
    node, _, output = reference.partition(".")
    if node in inputs:
        if output:
            collector.add(path, f"model input '{node}' has no output '{output}'", expected=node)
        return node
    if node not in layers:
        known = [*inputs, *layers]
        meant = nearest(node, known)
        collector.add(path, f"no layer or model input '{node}'", expected=choices(known), suggestion=meant)
        return meant or node
    wires = layers[node]
    if output in wires.hidden:
        collector.add(path, f"layer '{node}' does not give its {output}", hint=f"set model.layers.{node}.{wires.hidden[output]}")
    elif output and output not in wires.outputs:
        known = [node, *(f"{node}.{name}" for name in wires.outputs if name != "output")]
        collector.add(path, f"layer '{node}' has no output '{output}'", expected=choices(known), suggestion=nearest(reference, known))
    return node


def _check_unread(collector: ProblemCollector, inputs: list[str], layers: Mapping[str, Wires], read: set[str]) -> None:
    for name in inputs:
        if name not in read:
            collector.add(f"model.inputs.{name}", "no layer reads this model input", hint="name it in a layer's inputs, or take it out")
    for name in layers:
        if name not in read:
            collector.add(
                f"model.layers.{name}",
                "nothing reads this layer, and it is no output of the model",
                hint=f"name '{name}' in another layer's inputs or in model.outputs, or take it out",
            )


def _check_cycles(collector: ProblemCollector, layers: Mapping[str, Wires]) -> None:
    done: set[str] = set()
    for start in layers:
        cycle = _find_cycle(start, layers, done, [])
        if cycle:
            collector.add(f"model.layers.{cycle[0]}", "layers read each other in a circle: " + " <- ".join([*cycle, cycle[0]]))
            return


def _find_cycle(name: str, layers: Mapping[str, Wires], done: set[str], path: list[str]) -> list[str]:
    if name in path:
        return path[path.index(name) :]
    if name in done or name not in layers:
        return []
    for _, reference in layers[name].references:
        cycle = _find_cycle(reference.partition(".")[0], layers, done, [*path, name])
        if cycle:
            return cycle
    done.add(name)
    return []
