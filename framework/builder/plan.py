"""The plan of a model: ordered layers with shapes, weights and costs; what backends build from and ``explain`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from framework.spec.layers.base import LayerSpec

if TYPE_CHECKING:
    from framework.builder.cudnn import CudnnVerdict
    from framework.spec.identifiers import Identifier

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class PlannedTensor:
    """What flows along a wire.

    Attributes:
        shape: whole shape, batch first (time first for a ``time_major`` output); None where it varies.
        dtype: name of the data type.
        masked: whether a mask ``(batch, time) bool`` travels with it.
    """

    shape: Shape
    dtype: str = "float32"
    masked: bool = False


@dataclass(frozen=True)
class PlannedWeight:
    """One weight of a layer, in Keras' layout and order.

    Attributes:
        name: Keras' name, such as ``kernel``; unique within the layer, with a prefix such as ``forward/`` inside a wrapper.
        shape: full shape.
        initializer: how it starts.
        regularizer: penalty on it, or None.
        constraint: what it is projected to after each optimizer step, or None.
    """

    name: str
    shape: tuple[int, ...]
    initializer: Identifier
    regularizer: Identifier | None = None
    constraint: Identifier | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        count = 1
        for length in self.shape:
            count *= length
        return count


class Reference(NamedTuple):
    """One end of a wire: a layer's or a model input's output. A tuple, since steps look wires up by it and a tuple's hash costs nothing."""

    node: str
    output: str = "output"

    def __str__(self) -> str:
        return self.node if self.output == "output" else f"{self.node}.{self.output}"


@dataclass(frozen=True)
class AttendedPlaces:
    """What attention adds to a layer's costs.

    Attributes:
        memory: what is attended to, ``(batch, places, width)``.
        flops: operations of a forward pass for one row and one place: keys.
        activations: values kept for the backward pass, likewise.
        step_flops: operations of a forward pass for one row, one step and one place: scores and contexts.
        step_activations: values kept for the backward pass, likewise.
    """

    memory: PlannedTensor
    flops: int
    activations: int
    step_flops: int
    step_activations: int


@dataclass(frozen=True)
class PlannedLayer:
    """One layer, placed and sized.

    Attributes:
        name: key in the config.
        spec: the validated config, sizes filled in.
        references: what is read, by field of the spec (``inputs``, ``initial_state``, …).
        inputs: the tensors that ``references["inputs"]`` bring, in order.
        outputs: what it gives, by name (``output``, ``state``).
        weights: in Keras' order.
        state: what its step form carries from step to step, by name; shapes without the batch. Empty: no state.
        step: whether it has a step form.
        flops: floating-point operations of a forward pass for one row and one step (one row where there is no time).
        activations: values kept for the backward pass, for one row and one step.
        places: what attending to a memory adds to that, or None.
        cudnn: verdict by backend, for kinds that have a cuDNN path.
    """

    name: str
    spec: LayerSpec
    references: Mapping[str, tuple[Reference, ...]]
    inputs: tuple[PlannedTensor, ...]
    outputs: Mapping[str, PlannedTensor]
    weights: tuple[PlannedWeight, ...] = ()
    state: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    step: bool = True
    flops: int = 0
    activations: int = 0
    places: AttendedPlaces | None = None
    cudnn: Mapping[str, CudnnVerdict] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Name of the layer kind."""
        return self.spec.kind

    @property
    def parameters(self) -> int:
        """Number of values in all weights."""
        return sum(weight.size for weight in self.weights)


@dataclass(frozen=True)
class ModelPlan:
    """A whole model, ready to be built.

    Attributes:
        inputs: model inputs by name, in the config's order.
        layers: in an order in which every layer comes after what it reads.
        outputs: what the model gives, by name.
        batch_size: rows of every batch where fixed, else None.
        seed: seed that initial weights and dropout are derived from.
    """

    inputs: Mapping[str, PlannedTensor]
    layers: tuple[PlannedLayer, ...]
    outputs: Mapping[str, Reference]
    batch_size: int | None
    seed: int

    @property
    def parameters(self) -> int:
        """Number of values in all weights."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def stateful(self) -> bool:
        """Whether any layer keeps its state from batch to batch."""
        return any(getattr(layer.spec, "stateful", False) for layer in self.layers)

    def layer(self, name: str) -> PlannedLayer:
        """The layer of that name.

        Raises:
            KeyError: there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def tensor(self, reference: Reference) -> PlannedTensor:
        """The tensor at one end of a wire."""
        if reference.node in self.inputs:
            return self.inputs[reference.node]
        return self.layer(reference.node).outputs[reference.output]

    def weight_names(self) -> Iterator[tuple[str, PlannedWeight]]:
        """Every weight as (``layer/weight``, weight), in the order of the layers."""
        for layer in self.layers:
            for weight in layer.weights:
                yield f"{layer.name}/{weight.name}", weight
