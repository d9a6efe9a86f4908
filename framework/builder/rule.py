"""How a layer kind tells the builder its shapes, weights and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from framework.builder.plan import AttendedPlaces, PlannedTensor, PlannedWeight, Shape
from framework.spec.layers.base import LayerSpec


class ShapeProblem(Exception):
    """A layer cannot take what it is given; the planner turns it into a problem with the layer's path.

    Args:
        field: field of the layer's spec that is at fault.
        message: what does not fit.
        details: ``expected`` or ``hint`` of the problem.
    """

    def __init__(self, field: str, message: str, **details: str) -> None:
        self.field = field
        self.message = message
        self.details = details
        super().__init__(message)


@dataclass(frozen=True)
class Surroundings:
    """What a layer is planned in.

    Attributes:
        inputs: the tensors that ``inputs`` names, in order.
        references: every tensor read, by field.
        batch_size: rows of every batch where fixed.
        dtype: data type of the layer's output unless the layer says another.
    """

    inputs: Sequence[PlannedTensor]
    references: Mapping[str, Sequence[PlannedTensor]]
    batch_size: int | None
    dtype: str


@dataclass(frozen=True)
class Inferred:
    """What a kind's rule finds; the fields are those of :class:`~framework.builder.plan.PlannedLayer`."""

    outputs: Mapping[str, PlannedTensor]
    weights: Sequence[PlannedWeight] = ()
    state: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    step: bool = True
    flops: int = 0
    activations: int = 0
    places: AttendedPlaces | None = None


Rule = Callable[[Any, Surroundings], Inferred]

RULES: dict[type[LayerSpec], Rule] = {}
"""Rules by spec class; filled by :func:`plans`."""

AnyRule = TypeVar("AnyRule", bound=Rule)


def plans(spec: type[LayerSpec]) -> Callable[[AnyRule], AnyRule]:
    """Makes a function the rule of a layer kind: it takes the spec and its surroundings and gives what it infers."""

    def register(rule: AnyRule) -> AnyRule:
        RULES[spec] = rule
        return rule

    return register


def single_input(around: Surroundings) -> PlannedTensor:
    """The one tensor of a layer that reads one.

    Raises:
        ShapeProblem: several are given.
    """
    if len(around.inputs) != 1:
        raise ShapeProblem("inputs", f"reads {len(around.inputs)} inputs", expected="one", hint="join them with a concatenate layer first")
    return around.inputs[0]


def features(tensor: PlannedTensor) -> int:
    """Length of the last axis.

    Raises:
        ShapeProblem: it is not known, or the tensor holds whole numbers, or there is no such axis.
    """
    if tensor.dtype.startswith("int"):
        hint = "turn token numbers into vectors with an embedding layer first"
        raise ShapeProblem("inputs", f"reads whole numbers of shape {show(tensor.shape)}", expected="floating-point numbers", hint=hint)
    if len(tensor.shape) < 2 or tensor.shape[-1] is None:
        raise ShapeProblem("inputs", f"the last axis of {show(tensor.shape)} has no known length", expected="(batch, …, features)")
    return tensor.shape[-1]


def show(shape: Shape) -> str:
    """``(batch, time, 256)`` for messages: None at the front is the batch, after it the time."""
    names = ["batch" if position == 0 else "time" for position in range(len(shape))]
    return "(" + ", ".join(name if length is None else str(length) for name, length in zip(names, shape, strict=True)) + ")"
