"""The decoding step of a model: from tokens and states to the next logits and states."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framework.backends.base.backend import State
from framework.backends.torch.cell import DecodingCell
from framework.backends.torch.graph import Graph
from framework.backends.torch.layers.base import Layer, Signal
from framework.backends.torch.layers.dense import Dense
from framework.backends.torch.layers.embedding import Embedding
from framework.backends.torch.layers.gru import GRULayer
from framework.backends.torch.product import PreparedProduct
from framework.builder.plan import PlannedLayer, Reference
from framework.builder.step import DecodingStep, derive_step
from framework.errors import UnsupportedArgument

Wires = dict[Reference, Signal]
Part = Callable[[Wires, Mapping[str, Tensor], dict[str, Tensor]], None]
"""One layer's share of a step: reads and writes wires, reads old states and writes new ones."""

CHUNK = 256
"""Steps of a prompt that are read at once; bounds the memory that a long prompt takes."""


class TorchStepper:
    """Implements :class:`framework.backends.base.backend.Stepper`.

    Weights are taken as they are now: large products are prepared once, and an embedding that nothing but a GRU reads becomes part of
    its input product. Computes in the data type of the weights.

    Args:
        graph: the model.

    Raises:
        UnsupportedArgument: a layer has no step form, or the model has more than one input; named.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.decoded = Reference(_decoded_input(graph))
        derived = derive_step(graph.plan, self.decoded.node)
        _refuse(derived)
        self.device = next(graph.parameters()).device
        outputs = graph.plan.outputs
        self.output = outputs.get("output") or next(iter(outputs.values()))
        self.cells: dict[str, DecodingCell] = {}
        self._layers = {planned.name: _apart(graph.layer(planned.name)) for planned in derived.per_step}
        folded = self._make_cells(derived)
        self._step_parts = [self._step_part(planned) for planned in derived.per_step if planned.name not in folded]
        last = max((place for place, planned in enumerate(derived.per_step) if planned.name in self.cells), default=-1)
        self._read_parts = [self._read_part(planned) for planned in derived.per_step[: last + 1]]
        self._rest_parts = [self._step_part(planned) for planned in derived.per_step[last + 1 :]]

    def initial_state(self, rows: int) -> State:
        """Zero states for ``rows`` rows."""
        return {_state_key(name): torch.zeros(rows, cell.units, dtype=cell.dtype, device=cell.device) for name, cell in self.cells.items()}

    def __call__(self, tokens: NDArray[np.integer[Any]], state: State) -> tuple[NDArray[np.float32], State]:
        """One step, or a whole prompt.

        Args:
            tokens: ``(rows,) int``, or ``(rows, time) int``.
            state: from :meth:`initial_state` or the step before.

        Returns:
            Logits of the last step ``(rows, vocabulary)``, and the new state.
        """
        given = torch.from_numpy(np.ascontiguousarray(tokens)).to(self.device)
        # A with statement: as a decorator, this mode takes longer to enter than the rest of a small step.
        with torch.inference_mode():
            if given.dim() == 2:
                return self._read(given, state)
            wires: Wires = {self.decoded: Signal(given)}
            new: dict[str, Tensor] = {}
            for part in self._step_parts:
                part(wires, state, new)
            return self._logits(wires), new

    def select(self, state: State, rows: NDArray[np.integer[Any]]) -> State:
        """The states of ``rows`` in that order."""
        index = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(self.device)
        return {name: value.index_select(0, index) for name, value in state.items()}

    def _read(self, tokens: Tensor, state: State) -> tuple[NDArray[np.float32], State]:
        if not tokens.shape[1]:
            raise ValueError("a prompt needs at least one token")
        new: dict[str, Tensor] = dict(state)
        wires: Wires = {}
        for chunk in torch.split(tokens, CHUNK, dim=1):
            wires = {self.decoded: Signal(chunk)}
            before, new = new, {}
            for part in self._read_parts:
                part(wires, before, new)
        # What follows the last recurrent layer is needed for the last step alone.
        wires = {reference: signal if reference.output == "state" else _last_step(signal) for reference, signal in wires.items()}
        for part in self._rest_parts:
            part(wires, {}, {})
        return self._logits(wires), new

    def _logits(self, wires: Wires) -> NDArray[np.float32]:
        logits = wires[self.output].value.to(device="cpu", dtype=torch.float32)
        array: NDArray[np.float32] = logits.numpy()
        return array

    def _make_cells(self, derived: DecodingStep) -> set[str]:
        """Makes the cells of recurrent layers; gives the names of embeddings that became part of one."""
        folded = set()
        for planned in derived.per_step:
            layer = self._layers[planned.name]
            if not isinstance(layer, GRULayer):
                continue
            source = self._foldable(planned, layer, derived)
            self.cells[planned.name] = DecodingCell(layer.gru, None if source is None else source.embeddings)
            if source is not None:
                folded.add(source.planned.name)
        return folded

    def _foldable(self, planned: PlannedLayer, layer: GRULayer, derived: DecodingStep) -> Embedding | None:
        """The embedding that this recurrent layer alone reads, where it can be folded into it."""
        reference = planned.references["inputs"][0]
        source = self._layers.get(reference.node)
        readers = [one for one in derived.per_step for found in one.references.values() if reference in found]
        if not isinstance(source, Embedding) or len(readers) != 1 or reference in self.graph.plan.outputs.values():
            return None
        return source if source.weight_dtype == layer.weight_dtype and DecodingCell.can_fold(layer.gru, source.embeddings) else None

    def _step_part(self, planned: PlannedLayer) -> Part:
        layer = self._layers[planned.name]
        if planned.name in self.cells:
            return self._cell_part(planned, whole=False)
        if isinstance(layer, Dense) and planned.spec.dtype is None:
            return _dense_part(planned, layer)
        return _layer_part(planned, layer)

    def _read_part(self, planned: PlannedLayer) -> Part:
        if planned.name in self.cells:
            return self._cell_part(planned, whole=True)
        return _layer_part(planned, self._layers[planned.name])

    def _cell_part(self, planned: PlannedLayer, whole: bool) -> Part:
        cell, key = self.cells[planned.name], _state_key(planned.name)
        source, output, last = planned.references["inputs"][0], Reference(planned.name), Reference(planned.name, "state")
        if whole or cell.table is None:

            def plain(wires: Wires, state: Mapping[str, Tensor], new: dict[str, Tensor]) -> None:
                wires[output], new[key] = (cell.read if whole else cell.step)(wires[source], state[key])
                wires[last] = Signal(new[key])

            return plain
        embedding = self._layers[source.node]
        assert isinstance(embedding, Embedding)
        tokens, mask_zero = embedding.planned.references["inputs"][0], embedding.mask_zero

        def folded(wires: Wires, state: Mapping[str, Tensor], new: dict[str, Tensor]) -> None:
            value = wires[tokens].value
            wires[output], new[key] = cell.step(Signal(value, value != 0 if mask_zero else None), state[key])
            wires[last] = Signal(new[key])

        return folded


def _decoded_input(graph: Graph) -> str:
    inputs = list(graph.plan.inputs)
    if len(inputs) != 1:
        raise UnsupportedArgument(f"decoding step by step needs a model with one input; this one has {', '.join(inputs)}")
    return inputs[0]


def _refuse(derived: DecodingStep) -> None:
    obstacles = dict(derived.obstacles)
    for planned in derived.per_step:
        if planned.references.get("initial_state"):
            obstacles.setdefault(planned.name, "its initial_state is made from the tokens that are still to be decoded")
    if obstacles:
        lines = "; ".join(f"layer '{name}': {reason}" for name, reason in obstacles.items())
        raise UnsupportedArgument(f"this model cannot be decoded step by step: {lines}")


def _apart(layer: Layer) -> Layer:
    """The layer on the same weights, in inference mode and in the data type of its weights, whatever the model's own mode is."""
    with torch.no_grad():
        tuple(layer.weights())  # those that are computed from others are brought up to date, and hang in no graph
    shared = {id(tensor): tensor for tensor in [*layer.parameters(), *layer.buffers()]}
    apart = copy.deepcopy(layer, shared).eval()
    apart.mixed = None
    return apart


def _layer_part(planned: PlannedLayer, layer: Layer) -> Part:
    sources, name = planned.references["inputs"], planned.name

    def part(wires: Wires, state: Mapping[str, Tensor], new: dict[str, Tensor]) -> None:
        for output, signal in layer([wires[source] for source in sources]).items():
            wires[Reference(name, output)] = signal

    return part


def _dense_part(planned: PlannedLayer, layer: Dense) -> Part:
    product = PreparedProduct(layer.kernel, layer.bias if layer.spec.use_bias else None)
    activation, dtype = layer.activation, layer.kernel.dtype
    source, output = planned.references["inputs"][0], Reference(planned.name)

    def part(wires: Wires, state: Mapping[str, Tensor], new: dict[str, Tensor]) -> None:
        value, mask = wires[source]
        wires[output] = Signal(activation(product(value.to(dtype))), mask)

    return part


def _last_step(signal: Signal) -> Signal:
    return Signal(signal.value[:, -1], None if signal.mask is None else signal.mask[:, -1])


def _state_key(name: str) -> str:
    return f"{name}/state"
