"""The graphs of a trained model as modules that can be recorded: tensors in, tensors out, in the order of their signatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import (
    START,
    STEP,
    Decoded,
    Signature,
    decoding_signatures,
    model_signature,
    port_name,
)
from framework.backends.torch.decoding.step import Held, Part, Wires
from framework.backends.torch.layers.base import Layer
from framework.backends.torch.model import Graph, run_layer
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import plainly_made
from framework.backends.torch.trainee import TorchTrainee
from framework.builder.plan import PlannedTensor, Reference
from framework.builder.step import DecodingStep, derive_step

ROWS, STEPS = 3, 5
"""Lengths of the tensors that graphs are recorded with; the other lengths that vary are the numbers that follow."""


@dataclass(frozen=True)
class Recordable:
    """A graph to record.

    Attributes:
        signature: what it takes and gives.
        module: takes and gives tensors in that order.
    """

    signature: Signature
    module: nn.Module

    def example(self) -> tuple[Tensor, ...]:
        """Tensors that it takes: no two lengths that vary are the same."""
        lengths = self._lengths()
        return tuple(
            _filled(port.dtype, [size if isinstance(size, int) else lengths[size] for size in port.shape]) for port in self.signature.inputs
        )

    def varying(self) -> tuple[dict[int, torch.export.Dim], ...]:
        """For each input, the axes whose lengths vary."""
        dims = {name: torch.export.Dim(name) for name in self._lengths()}
        return tuple({axis: dims[size] for axis, size in enumerate(port.shape) if isinstance(size, str)} for port in self.signature.inputs)

    def _lengths(self) -> dict[str, int]:
        names = dict.fromkeys(size for port in self.signature.inputs for size in port.shape if isinstance(size, str))
        return {name: ROWS if place == 0 else STEPS + place for place, name in enumerate(names)}


def recordable(trainee: Trainee, decoded: Decoded | None) -> list[Recordable]:
    """The graphs of a trained model; its weights record as they are now.

    Raises:
        UnsupportedArgument: a layer has no step form; it is named.
    """
    native = cast(TorchTrainee, trainee).native
    native.requires_grad_(False).eval()
    signature = model_signature(trainee.plan, None if decoded is None else decoded.input)
    return [Recordable(signature, _Whole(native.network)), *([] if decoded is None else _decoding(decoded))]


def _decoding(decoded: Decoded) -> Iterator[Recordable]:
    native = cast(TorchTrainee, decoded.trainee).native
    native.requires_grad_(False).eval()
    derived = derive_step(decoded.trainee.plan, decoded.input).require()
    with plainly_made():
        parts = [Part(one, native.network.layer(one.name).step_form(None, "float32"), folded=False) for one in derived.per_step]
    start = _Start(native.network, derived, parts)
    constants = start.constants()
    signatures = {one.name: one for one in decoding_signatures(decoded.trainee.plan, derived, constants)}
    if START in signatures:
        yield Recordable(signatures[START], start)
    yield Recordable(signatures[STEP], _Step(derived, parts, constants, signatures[STEP]))


class _Whole(nn.Module):
    """The whole model."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.trained = graph

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        outputs = self.trained(dict(zip(self.trained.plan.inputs, values, strict=True)))
        return tuple(signal.value for signal in outputs.values())


class _Start(nn.Module):
    """What runs before the first step."""

    def __init__(self, network: Graph, derived: DecodingStep, parts: list[Part]) -> None:
        super().__init__()
        self._derived, self._parts = derived, parts
        # By number, and nothing of the other layers, whose weights would lie in the file too.
        self.once = nn.ModuleList(network.layer(one.name) for one in derived.once)
        self._inputs = {name: tensor for name, tensor in network.plan.inputs.items() if name != derived.decoded}
        # What steps read is in the data type of the layer that reads it.
        self._like = {name: torch.empty(0, dtype=network.layer(name).weight_dtype) for name in (one.planned.name for one in parts)}
        self._first = [(reference, self._like[key.partition("/")[0]]) for key, reference in derived.first.items() if reference is not None]

    def constants(self) -> dict[str, PlannedTensor]:
        """What steps read that stays as it is, as the plan would say it."""
        shapes = ([ROWS, *(size or STEPS for size in one.shape[1:])] for one in self._inputs.values())
        with torch.no_grad():
            given = [_filled(one.dtype, shape) for one, shape in zip(self._inputs.values(), shapes, strict=True)]
            made = self._made(self._run(given))
        places = {one.planned.name: one.planned.places for one in self._parts}
        found = {}
        for name, value in made.items():
            attended = places[name.partition("/")[0]]
            assert attended is not None
            shape = (None, attended.memory.shape[1], *value.shape[2:])
            found[name] = PlannedTensor(shape, str(value.dtype).removeprefix("torch."))
        return found

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        wires = self._run(values)
        return (*self._made(wires).values(), *(wires[one].value.to(like.dtype) for one, like in self._first))

    def _run(self, values: Sequence[Tensor]) -> Wires:
        wires: Wires = {Reference(name): Signal(value) for name, value in zip(self._inputs, values, strict=True)}
        for planned, layer in zip(self._derived.once, self.once, strict=True):
            run_layer(planned, cast(Layer, layer), wires)
        return wires

    def _made(self, wires: Wires) -> dict[str, Tensor]:
        made: dict[str, Tensor] = {}
        for part in self._parts:
            made.update(part.constants(wires, self._like[part.planned.name]))
        return made


class _Step(nn.Module):
    """One step of decoding."""

    def __init__(self, derived: DecodingStep, parts: list[Part], constants: Iterable[str], signature: Signature) -> None:
        super().__init__()
        self._derived, self._parts = derived, parts
        self._states, self._constants = list(derived.first), list(constants)
        watched = [port.name for port in signature.outputs[1 : len(signature.outputs) - len(self._states)]]
        attending = [Reference(one.planned.name, "attention") for one in parts if "attention" in one.planned.outputs]
        self._watched = [one for one in attending if port_name(f"{one.node}/attention") in watched]

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        tokens, *held = values
        constants, states = held[: len(self._constants)], held[len(self._constants) :]
        before = Held(dict(zip(self._states, states, strict=True)), dict(zip(self._constants, constants, strict=True)))
        wires: Wires = {Reference(self._derived.decoded): Signal(tokens)}
        after: dict[str, Tensor] = {}
        for part in self._parts:
            part.step(wires, tokens, before, after)
        told = (wires[self._derived.output], *(wires[one] for one in self._watched))
        return (*(one.value.float() for one in told), *(after[name] for name in self._states))


def _filled(dtype: str, shape: list[int]) -> Tensor:
    """Ones: no layer masks them, and every vocabulary has that number."""
    return torch.ones(shape, dtype=getattr(torch, dtype))
