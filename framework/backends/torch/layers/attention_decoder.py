"""A recurrent decoder that attends to a memory at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from framework.backends.base.gru_arguments import mask_count
from framework.backends.base.scoring import Scoring
from framework.backends.torch.activations import activation
from framework.backends.torch.activity import ActivityPenalties
from framework.backends.torch.attention.loop import Decoded, Decoder, DecoderCell, DecoderState, loop
from framework.backends.torch.attention.memory import Memory, attend
from framework.backends.torch.attention.scan import scan
from framework.backends.torch.attention.step import AttendingDecoderStep, Vector
from framework.backends.torch.attention.whole import attend_whole
from framework.backends.torch.decoding.cell import DecodingCell
from framework.backends.torch.decoding.form import StepForm
from framework.backends.torch.gru.calls import enter
from framework.backends.torch.gru.layer import GRU
from framework.backends.torch.gru.loop import Weights
from framework.backends.torch.gru.masks import visible_steps
from framework.backends.torch.gru.scan import scannable
from framework.backends.torch.large_product import large_product
from framework.backends.torch.layers.attention import AttendingLayer
from framework.backends.torch.layers.base import Layer, Setting
from framework.backends.torch.layers.gru import native_gru
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import ordinary
from framework.builder.kinds.attention import cell_names, state_names
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.spec.layers.attention import AttentionDecoderSpec


@builds("attention_decoder")
class AttentionDecoder(AttendingLayer):
    """Cells that run step by step over embedded targets, with an attention before or after them.

    One cell that attends before its step runs as one operation whose backward pass is written by hand; cells that need no attention
    within their loop run as GRUs do, and the attention follows for all steps at once; everything else is a plain loop.
    """

    spec: AttentionDecoderSpec

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, AttentionDecoderSpec)
        self.spec = spec = planned.spec
        self._cell_places: list[str] = []
        for (place, name), cell in zip(cell_names(spec), spec.all_cells, strict=True):
            gru = native_gru(cell, f"{planned.name}/{name}", setting, return_sequences=True, return_state=True)
            outer, _, inner = place.rpartition(".")
            if outer and outer not in self._modules:
                self.add_module(outer, nn.Module())
            self.get_submodule(outer).add_module(inner, gru)
            self._cell_places.append(place)
        self.create_weights()
        self.activity_penalties = ActivityPenalties()

    def grus(self) -> list[GRU]:
        """The cells in order."""
        found = [self.get_submodule(place) for place in self._cell_places]
        return [one for one in found if isinstance(one, GRU)]

    def trains(self, name: str) -> bool:
        """Only where neither this layer nor the cell is frozen."""
        frozen = [own for (_, own), cell in zip(cell_names(self.spec), self.spec.all_cells, strict=True) if not cell.trainable]
        return super().trains(name) and not any(name.startswith(f"{own}/") for own in frozen)

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, features)`` to what the last cell puts out, or attention vectors, and the other outputs beside it."""
        value, mask = inputs[0]
        with self.computing(value) as dtype:
            values = self.values(dtype)
            scoring = self.scoring(values, self.grus()[-1].units)
            memory = self.memory(references["memory"][0], scoring, dtype)
            states = self._first_states(references.get("initial_state", ()), value, dtype)
            times = None if mask is None else mask.t()
            decoded = self._decode(value.to(dtype).transpose(0, 1), states, memory, scoring, values, times)
            output = self._output(decoded, values, times)
        outputs = {"output": Signal(output.transpose(0, 1), mask)}
        if self.spec.return_state:
            outputs["state"] = Signal(torch.cat(list(decoded.states), dim=-1))
        for name, given in (("context", decoded.contexts), ("attention", decoded.weights)):
            outputs[name] = Signal(_only(given, times).transpose(0, 1), mask)
        if self.spec.doubly_stochastic:
            attention = outputs["attention"].value
            self.activity_penalties.record(self._left_out, [attention], self.training, f"layer '{self.planned.name}'")
        return outputs

    def losses(self) -> list[Tensor]:
        """Penalties of the weights, and of the attention of all calls of the step."""
        return [*super().losses(), *self.activity_penalties.read()]

    def _left_out(self, attention: Tensor) -> Tensor:
        """What places lack of an attention of 1 over all steps, squared and summed."""
        return self.spec.doubly_stochastic * (1 - attention.sum(dim=1)).square().sum()

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """With keys, products and tables made once, before the first step."""
        spec, values = self.spec, self.values()
        cells = self.grus()
        return AttendingDecoderStep(
            self.scoring(values, cells[-1].units),
            spec.mask_memory,
            [DecodingCell(cell, carries=spec.carry_state, precision=precision) for cell in cells],
            state_names(spec),
            spec.attend == "before_cell",
            spec.carry_state,
            self._vector(values),
            spec.input_feeding,
            spec.all_cells[-1].zero_output_for_mask,
            precision,
        )

    def _first_states(self, given: Sequence[Signal], inputs: Tensor, dtype: torch.dtype) -> list[Tensor]:
        widths = [shape[0] for name, shape in self.planned.state.items() if name.startswith("state")]
        if not given:
            return [inputs.new_zeros(inputs.shape[0], width, dtype=dtype) for width in widths]
        each = list(given) * (len(widths) if len(given) == 1 else 1)
        return [one.value.to(dtype) for one in each]

    def _decode(
        self, inputs: Tensor, states: list[Tensor], memory: Memory, scoring: Scoring, values: Mapping[str, Tensor], mask: Tensor | None
    ) -> Decoded:
        spec = self.spec
        if not spec.attends_within:
            return self._cells_first(inputs, states, memory, scoring, mask)
        cells = self._dropped_cells(inputs, memory, values)
        if spec.attend == "before_cell" and len(cells) == 1 and _scans(inputs, states[0], memory, scoring, cells[0]):
            return scan(inputs, states[0], memory, scoring, cells[0], spec.carry_state, mask)
        vector = self._vector(values)
        fed = None
        if spec.input_feeding:
            fed = inputs.new_zeros(inputs.shape[1], self.planned.state["fed"][0])
        decoder = Decoder(
            partial(attend, scoring=scoring), cells, spec.attend == "before_cell", spec.carry_state, vector, spec.input_feeding
        )
        return loop(inputs, DecoderState(states, fed), memory, decoder, mask)

    def _cells_first(self, inputs: Tensor, states: list[Tensor], memory: Memory, scoring: Scoring, mask: Tensor | None) -> Decoded:
        """Nothing of the attention comes back to the cells: these run as GRUs do, then all steps attend."""
        read, last, rows = inputs.transpose(0, 1), [], None if mask is None else mask.t()
        # A GRU asks autocast for its data type, and not its inputs.
        lower = inputs.dtype in (torch.bfloat16, torch.float16) and self.weight_dtype == torch.float32
        with torch.autocast(inputs.device.type, dtype=inputs.dtype) if lower else nullcontext():
            for cell, state in zip(self.grus(), states, strict=True):
                read, state = cell(read, mask=rows, initial_state=state)
                last.append(state)
        contexts, weights = attend_whole(read, memory, scoring)
        return Decoded(read.transpose(0, 1), contexts.transpose(0, 1), weights.transpose(0, 1), last)

    def _dropped_cells(self, inputs: Tensor, memory: Memory, values: Mapping[str, Tensor]) -> list[DecoderCell]:
        """The cells with their weights of now and the dropout masks of this call."""
        cells, batch = [], inputs.shape[1]
        for gru, (_, name) in zip(self.grus(), cell_names(self.spec), strict=True):
            weights = Weights(values[f"{name}/kernel"], values[f"{name}/recurrent_kernel"], values.get(f"{name}/bias"))
            input_masks, recurrent_masks = None, None
            call = enter(gru, self.training)
            if call is not None and gru.dropout:
                input_masks = gru.dropout_masks.apply_next(call, batch, inputs, len(weights.kernel), mask_count(gru.implementation))
            if call is not None and gru.recurrent_dropout:
                recurrent_masks = gru.recurrent_dropout_masks.apply_next(call, batch, inputs, gru.units, 3)
            cells.append(DecoderCell(weights, gru.cell, input_masks, recurrent_masks))
        return cells

    def _vector(self, values: Mapping[str, Tensor]) -> Vector | None:
        spec = self.spec.attention_vector
        if spec is None:
            return None
        function, kernel, bias = activation(spec.activation), values["attention_vector/kernel"], values.get("attention_vector/bias")
        return lambda joined: function(large_product(joined, kernel, bias))

    def _output(self, decoded: Decoded, values: Mapping[str, Tensor], mask: Tensor | None) -> Tensor:
        vector = self._vector(values)
        if vector is not None:
            made = decoded.vectors
            return _only(vector(torch.cat([decoded.contexts, decoded.outputs], dim=-1)) if made is None else made, mask)
        shown = None if mask is None else visible_steps(mask, self.spec.all_cells[-1].zero_output_for_mask)
        return _only(decoded.outputs, shown)


def _only(value: Tensor, mask: Tensor | None) -> Tensor:
    """``(time, batch, …)`` where ``mask (time, batch)`` is true, zeros elsewhere; memory of its own, which may be written over."""
    return value.clone() if mask is None else value.masked_fill(~mask[:, :, None], 0.0)


def _scans(inputs: Tensor, state: Tensor, memory: Memory, scoring: Scoring, cell: DecoderCell) -> bool:
    """Whether the operation with the hand-written backward pass can run a decoder of one cell that attends before its step."""
    weights = cell.weights
    tensors = (
        inputs, state, memory.keys, memory.values, scoring.query_kernel, scoring.score, weights.kernel, weights.recurrent_kernel,
        weights.bias,
    )  # fmt: skip
    one_mask = len(cell.input_masks or ()) < 2
    return ordinary(*tensors) and one_mask and scannable(cell.cell) and bool(inputs.numel() and memory.values.numel())
