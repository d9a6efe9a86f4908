"""The decoding step of a model: from tokens and states to the next logits and states."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framework.backends.base.training import Arrays
from framework.backends.torch.arrays import as_tensor
from framework.backends.torch.decoding.step import Held, Part, Wires
from framework.backends.torch.layers.base import Layer
from framework.backends.torch.model import Graph, run_layer
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer, Reference
from framework.builder.step import derive_step
from framework.decoding.precision import Precision
from framework.decoding.stepper import State, Stepped, check_prompt, check_start

CHUNK = 256
"""Steps of a prompt that are read at once; bounds the memory that a long prompt takes."""


class TorchStepper:
    """Implements :class:`framework.decoding.stepper.Stepper`.

    Weights are taken as they are now: large products are prepared once, and an embedding may become part of a GRU's input product.
    Computes in the data type of the weights.

    Args:
        graph: the model.
        decoded: the model input that is decoded; the only one that can be, when not given.
        precision: of large products.

    Raises:
        UnsupportedArgument: something on the way has no step form; it is named. Or there is no int8 product here.
    """

    def __init__(self, graph: Graph, decoded: str | None = None, precision: Precision = "float32") -> None:
        self.derived = derived = derive_step(graph.plan, decoded).require()
        self.device = next(graph.parameters()).device
        self._on_cpu = self.device.type == "cpu"
        self._others = [name for name in graph.plan.inputs if name != derived.decoded]
        layers = {planned.name: _apart(graph.layer(planned.name)) for planned in (*derived.once, *derived.per_step)}
        self._once = [(planned, layers[planned.name]) for planned in derived.once]
        self._zeros = {}
        for planned in derived.per_step:
            like = next(layers[planned.name].parameters(), torch.empty(0, device=self.device))
            self._zeros.update({f"{planned.name}/{name}": like.new_empty((0, *shape)) for name, shape in planned.state.items()})
        # What a layer reads at each step is in its own data type, which may be another than that of the layer that made it.
        self._like = {name: torch.empty(0, dtype=layer.weight_dtype, device=self.device) for name, layer in layers.items()}
        self._parts = parts = [self._part(planned, layers, precision) for planned in derived.per_step]
        self._step_parts = [part for part in parts if part.planned.name not in derived.unread]
        last = max((place for place, planned in enumerate(derived.per_step) if planned.state), default=-1)
        self._read_parts, self._rest_parts = parts[: last + 1], parts[last + 1 :]
        self._tokens, self._output = Reference(derived.decoded), derived.output
        self._watched = [
            (part.planned.name, Reference(part.planned.name, "attention")) for part in parts if "attention" in part.planned.outputs
        ]

    def start(self, inputs: Arrays, rows: int) -> State:
        """The state before the first step; see the protocol."""
        check_start(self._others, inputs, rows)
        with torch.inference_mode():
            wires: Wires = {Reference(name): Signal(as_tensor(value, self.device)) for name, value in inputs.items()}
            for planned, layer in self._once:
                run_layer(planned, layer, wires)
            constant: dict[str, Tensor] = {}
            for part in self._parts:
                constant.update(part.constants(wires, self._like[part.planned.name]))
            carried = {key: self._first(key, wires, rows) for key in self._zeros}
        return State(constant, carried, rows)

    def step(self, tokens: NDArray[np.integer[Any]], state: State) -> Stepped:
        """One step, or a whole prompt; see the protocol."""
        given = torch.from_numpy(tokens if tokens.flags.c_contiguous else np.ascontiguousarray(tokens))
        if not self._on_cpu:
            given = given.to(self.device)
        # A with statement: as a decorator, this mode takes longer to enter than the rest of a small step.
        with torch.inference_mode():
            if given.dim() != 1:
                return self._read(given, state)
            wires: Wires = {self._tokens: Signal(given)}
            new: dict[str, Tensor] = {}
            held = Held(state.carried, state.constant)
            for part in self._step_parts:
                part.step(wires, given, held, new)
            return self._stepped(wires, new, state)

    def select(self, state: State, rows: NDArray[np.integer[Any]], width: int = 1) -> State:
        """The state of ``rows`` in that order, in groups of ``width``."""
        return state.select(rows, width, self._take)

    def _take(self, value: Any, rows: NDArray[np.integer[Any]]) -> Any:
        index = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(self.device)
        return value.index_select(0, index)

    def _first(self, key: str, wires: Wires, rows: int) -> Tensor:
        zeros, reference = self._zeros[key], self.derived.first[key]
        return zeros.new_zeros((rows, *zeros.shape[1:])) if reference is None else wires[reference].value.to(zeros)

    def _read(self, tokens: Tensor, state: State) -> Stepped:
        check_prompt(tokens.shape)
        new: dict[str, Tensor] = dict(state.carried)
        wires: Wires = {}
        for chunk in torch.split(tokens, CHUNK, dim=1):
            wires = {self._tokens: Signal(chunk)}
            before, new = new, {}
            for part in self._read_parts:
                part.read(wires, Held(before, state.constant), new)
        # What follows the last recurrent layer is needed for the last step alone.
        wires = {reference: signal if reference.output == "state" else _last_step(signal) for reference, signal in wires.items()}
        for part in self._rest_parts:
            part.step(wires, tokens[:, -1], Held({}, state.constant), {})
        return self._stepped(wires, new, state)

    def _stepped(self, wires: Wires, carried: Mapping[str, Tensor], before: State) -> Stepped:
        logits = _array(wires[self._output].value)
        watched = {name: _array(wires[reference].value) for name, reference in self._watched}
        return Stepped(logits, State(before.constant, carried, before.rows, before.width), watched)

    def _part(self, planned: PlannedLayer, layers: Mapping[str, Layer], precision: Precision) -> Part:
        source = self.derived.folded.get(planned.name)
        form = layers[planned.name].step_form(None if source is None else layers[source.name], precision)
        return Part(planned, form, source is not None)


def _array(value: Tensor) -> NDArray[np.float32]:
    if value.dtype != torch.float32 or not value.is_cpu:
        value = value.to(device="cpu", dtype=torch.float32)
    array: NDArray[np.float32] = value.numpy()
    return array


def _apart(layer: Layer) -> Layer:
    """The layer on the same weights, in inference mode and in the data type of its weights, whatever the model's own mode is."""
    with torch.no_grad():
        tuple(layer.weights())  # those that are computed from others are brought up to date, and hang in no graph
    shared = {id(tensor): tensor for tensor in [*layer.parameters(), *layer.buffers()]}
    apart = copy.deepcopy(layer, shared).eval()
    apart.mixed = None
    return apart


def _last_step(signal: Signal) -> Signal:
    return Signal(signal.value[:, -1], None if signal.mask is None else signal.mask[:, -1])
