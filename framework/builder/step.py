"""The decoding step of a model, derived once from its plan for every backend: what runs before the first step, what runs at each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from framework.builder.plan import ModelPlan, PlannedLayer, Reference
from framework.errors import UnsupportedArgument

LARGEST_TABLE = 64 * 2**20
"""Bytes, in float32, that an embedding folded into a GRU may take."""


@dataclass(frozen=True)
class DecodingStep:
    """How a model decodes one of its inputs, token by token.

    Attributes:
        decoded: the model input that is decoded.
        output: what a step gives: the logits.
        once: layers that run once, before the first step, in order.
        per_step: layers that run at each step with their state, in order.
        memory: what steps read that was made before the first one; the same at every step.
        first: where each state of ``per_step`` starts, by ``layer/state``: what was made before, or None for zeros.
        folded: the embedding that is part of a GRU's input product, by the GRU's name; see :func:`_foldable`.
        unread: layers of ``per_step`` that a step of one token need not run, since what reads them has them folded in.
        obstacles: for each layer that stands in the way, its name and the reason.
    """

    decoded: str
    output: Reference
    once: tuple[PlannedLayer, ...]
    per_step: tuple[PlannedLayer, ...]
    memory: tuple[Reference, ...]
    first: Mapping[str, Reference | None]
    folded: Mapping[str, PlannedLayer]
    unread: frozenset[str]
    obstacles: Mapping[str, str]

    def require(self) -> DecodingStep:
        """The same step.

        Raises:
            UnsupportedArgument: something stands in the way; every layer is named with its reason.
        """
        if self.obstacles:
            lines = "; ".join(f"layer '{name}': {reason}" for name, reason in self.obstacles.items())
            raise UnsupportedArgument(f"this model cannot be decoded step by step: {lines}")
        return self


def decoded_input(plan: ModelPlan) -> str:
    """The model input that is decoded: of whole numbers, and with a form of its own at each step all the way to the output.

    Raises:
        UnsupportedArgument: there is none, or several could be; they are named.
    """
    tokens = [name for name, tensor in plan.inputs.items() if tensor.dtype.startswith("int") and len(tensor.shape) == 2]
    obstacles = {name: derive_step(plan, name).obstacles for name in tokens}
    possible = [name for name in tokens if not obstacles[name]]
    if len(possible or tokens) == 1:
        return (possible or tokens)[0]
    if possible:
        found = f"{' and '.join(possible)} could be"
    elif tokens:
        found = "; ".join(f"not '{name}', as layer '{layer}': {why}" for name in tokens for layer, why in obstacles[name].items())
    else:
        found = f"none of {', '.join(plan.inputs)} is (batch, time) of whole numbers"
    raise UnsupportedArgument(f"decoding step by step needs one model input of tokens: {found}")


def derive_step(plan: ModelPlan, decoded: str | None = None) -> DecodingStep:
    """Splits what a plan's output depends on by what depends on the decoded input.

    Args:
        plan: the whole model; decoded is the output called ``output``, or the first.
        decoded: name of the model input that is decoded; :func:`decoded_input` where not given.

    Raises:
        UnsupportedArgument: no input is given and none is the only one that can be decoded.
    """
    decoded = decoded_input(plan) if decoded is None else decoded
    output = plan.outputs.get("output") or next(iter(plan.outputs.values()))
    needed = _ancestors(plan, output)
    dependent = {decoded}
    for layer in needed:
        if dependent & {one.node for one in _read_by(layer)}:
            dependent.add(layer.name)
    per_step = tuple(layer for layer in needed if layer.name in dependent)
    once = tuple(layer for layer in needed if layer.name not in dependent)
    fixed = (one for layer in per_step for field, found in layer.references.items() if field != "initial_state" for one in found)
    memory = tuple(dict.fromkeys(one for one in fixed if one.node not in dependent))
    first = {f"{layer.name}/{name}": start for layer in per_step for name, start in _starts(layer).items()}
    folded = {layer.name: source for layer in per_step if (source := _foldable(plan, layer, decoded)) is not None}
    unread = frozenset(_unread(per_step, folded, output))
    step = DecodingStep(decoded, output, once, per_step, memory, first, folded, unread, {})
    return replace(step, obstacles=_obstacles(plan, step, dependent))


def decoding_obstacles(plan: ModelPlan, decoded: str | None = None) -> dict[str, str]:
    """Why a model cannot be decoded step by step: the reason by the layer's name, or by ``model.inputs``; empty where it can."""
    try:
        return dict(derive_step(plan, decoded).obstacles)
    except UnsupportedArgument as error:
        return {"model.inputs": str(error)}


def _read_by(layer: PlannedLayer) -> Iterable[Reference]:
    return (one for references in layer.references.values() for one in references)


def _ancestors(plan: ModelPlan, output: Reference) -> list[PlannedLayer]:
    """The layers that an output depends on, in order."""
    needed = {output.node}
    for layer in reversed(plan.layers):
        if layer.name in needed:
            needed.update(one.node for one in _read_by(layer))
    return [layer for layer in plan.layers if layer.name in needed]


def _starts(layer: PlannedLayer) -> dict[str, Reference | None]:
    """Where each state of a layer starts: ``initial_state`` gives one for each recurrent state in order, or one for all."""
    given = layer.references.get("initial_state", ())
    recurrent = [name for name in layer.state if name.startswith("state")]
    found = dict(zip(recurrent, given * (len(recurrent) if len(given) == 1 else 1), strict=False))
    return {name: found.get(name) for name in layer.state}


def _foldable(plan: ModelPlan, layer: PlannedLayer, decoded: str) -> PlannedLayer | None:
    """The embedding of the decoded tokens that a GRU reads, dropout in between left out: it does nothing while decoding.

    Embedding and input product are then one table ``(tokens, 3·units)``, and a step looks a row up instead of multiplying. Not where
    the table is too large, where the reset gate comes before the recurrent product, or where the two have other data types.
    """
    spec = layer.spec
    if layer.kind != "gru" or not getattr(spec, "reset_after", False):
        return None
    node = layer.references["inputs"][0].node
    while node not in plan.inputs and plan.layer(node).kind == "dropout":
        node = plan.layer(node).references["inputs"][0].node
    source = None if node in plan.inputs else plan.layer(node)
    if source is None or source.kind != "embedding" or source.references["inputs"][0].node != decoded or source.spec.dtype != spec.dtype:
        return None
    rows, columns = source.weights[0].shape[0], layer.weights[0].shape[1]
    return source if rows * columns * 4 <= LARGEST_TABLE else None


def _unread(per_step: tuple[PlannedLayer, ...], folded: Mapping[str, PlannedLayer], output: Reference) -> Iterable[str]:
    """Layers that only folded GRUs, or layers that nobody reads themselves, read."""
    wanted = {output.node}
    for layer in reversed(per_step):
        if layer.name in wanted and layer.name not in folded:
            wanted.update(one.node for one in _read_by(layer))
    return (layer.name for layer in per_step if layer.name not in wanted)


def _obstacles(plan: ModelPlan, step: DecodingStep, dependent: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if step.output.node not in dependent:
        found[step.output.node] = f"the output does not depend on '{step.decoded}'"
    for layer in step.per_step:
        whole = [one for one in layer.references["inputs"] if one.node not in dependent]
        made_of_tokens = [field for field, read in layer.references.items() if field != "inputs" and {one.node for one in read} & dependent]
        if not layer.step:
            found[layer.name] = _why_no_step(layer)
        elif made_of_tokens:
            found[layer.name] = f"its {made_of_tokens[0]} is made from the tokens that are still to be decoded"
        elif whole:
            found[layer.name] = f"it reads '{whole[0]}' beside the decoded tokens, step by step, which has steps of its own"
    return found


def _why_no_step(layer: PlannedLayer) -> str:
    if getattr(layer.spec, "go_backwards", False):
        return "go_backwards reads the end of the sequence first, which is not there yet while decoding"
    if layer.kind == "bidirectional":
        return "bidirectional reads the sequence backwards too, whose end is not there yet while decoding"
    return f"the kind '{layer.kind}' has no step form with these settings"
