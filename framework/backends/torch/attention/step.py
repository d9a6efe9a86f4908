"""What attending layers do while a model decodes: keys made once, then one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from framework.backends.base.scoring import Scoring
from framework.backends.torch.attention.loop import CellStep, Decoder, DecoderState, carried, decode_step
from framework.backends.torch.attention.memory import Memory, attend, attend_projected
from framework.backends.torch.decoding.cell import DecodingCell
from framework.backends.torch.decoding.form import Formed, States
from framework.backends.torch.logistic import fast_tanh
from framework.backends.torch.product import PreparedProduct
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import made_plainly
from framework.decoding.precision import Precision

Vector = Callable[[Tensor], Tensor]


class _Remembers:
    """What has a memory that steps read."""

    def __init__(self, scoring: Scoring, mask_memory: bool) -> None:
        self.scoring, self.mask_memory = scoring, mask_memory

    def constants(self, references: Mapping[str, Sequence[Signal]], like: Tensor) -> States:
        """Keys, values and what is left out, one row a group."""
        places, mask = references["memory"][0]
        return Memory.of(places.to(like.dtype), mask if self.mask_memory else None, self.scoring).constants()


class AttentionStep(_Remembers):
    """The step form of an attention alone."""

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One query a row."""
        value, mask = inputs[0]
        memory = Memory.held(states)
        contexts, weights = attend(value.to(memory.keys.dtype).reshape(memory.keys.shape[0], -1, value.shape[-1]), memory, self.scoring)
        return Formed({"output": Signal(contexts.flatten(0, 1), mask), "attention": Signal(weights.flatten(0, 1), mask)}, {})

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt, ``(rows, time, width)``."""
        value, mask = inputs[0]
        memory, (rows, time, width) = Memory.held(states), value.shape
        contexts, weights = attend(value.to(memory.keys.dtype).reshape(memory.keys.shape[0], -1, width), memory, self.scoring)
        shaped = (one.reshape(rows, time, one.shape[-1]) for one in (contexts, weights))
        return Formed(dict(zip(("output", "attention"), (Signal(one, mask) for one in shaped), strict=True)), {})


class AttendingDecoderStep(_Remembers):
    """The step form of an attending decoder, on weights prepared once.

    Args:
        scoring: the score's weights.
        mask_memory: whether masked places are left out.
        cells: of the decoder.
        state_names: of its states, in order.
        before_cell: whether the state before a step is the query.
        carries: whether cells start from their states.
        vector: gives attention vectors, or None.
        feeds: whether a step reads what the one before gave.
        zero_output_for_mask: whether masked steps put out zeros.
        precision: of the query's product.
    """

    def __init__(
        self,
        scoring: Scoring,
        mask_memory: bool,
        cells: Sequence[DecodingCell],
        state_names: Sequence[str],
        before_cell: bool,
        carries: bool,
        vector: Vector | None,
        feeds: bool,
        zero_output_for_mask: bool,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(scoring, mask_memory)
        self.state_names, self.vector, self.zero_output_for_mask = state_names, vector, zero_output_for_mask
        self.dtype = cells[0].dtype
        query = None if scoring.query_kernel is None else PreparedProduct(scoring.query_kernel, None, precision)
        tanh = torch.tanh if made_plainly() else fast_tanh
        steps: list[CellStep] = [_PreparedCell(cell) for cell in cells]
        self.decoder = Decoder(
            partial(_attend_prepared, scoring=scoring, query=query, tanh=tanh), steps, before_cell, carries, vector, feeds
        )

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step: ``(rows, features)`` with the mask ``(rows,)``; the memory has one row a group."""
        value, mask = inputs[0]
        before = DecoderState([states[name] for name in self.state_names], states.get("fed"))
        new, context, weights = decode_step(value.to(self.dtype), before, Memory.held(states), self.decoder)
        output = shown = new.states[-1]
        if self.vector is not None:
            shown = self.vector(torch.cat([context, output], dim=-1)) if new.fed is None else new.fed
        if mask is not None:
            counts = mask[:, None]
            new = carried(counts, new, before)
            context, weights = context * counts, weights * counts
            zeros = self.zero_output_for_mask or self.vector is not None
            shown = torch.where(counts, shown, torch.zeros_like(shown) if zeros else new.states[-1])
        after = dict(zip(self.state_names, new.states, strict=True))
        outputs = {
            "output": Signal(shown, mask),
            "state": Signal(torch.cat(list(new.states), dim=-1)),
            "context": Signal(context, mask),
            "attention": Signal(weights, mask),
        }
        return Formed(outputs, after if new.fed is None else {**after, "fed": new.fed})

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt ``(rows, time, features)``, one step after the other."""
        value, mask = inputs[0]
        every: list[Formed] = []
        for t, read in enumerate(value.unbind(1)):
            formed = self.step([Signal(read, None if mask is None else mask[:, t])], read, states)
            states = {**states, **formed.states}
            every.append(formed)
        outputs = {
            name: every[-1].outputs[name] if name == "state" else Signal(torch.stack([one.outputs[name].value for one in every], 1), mask)
            for name in every[-1].outputs
        }
        return Formed(outputs, every[-1].states)


class _PreparedCell:
    """A cell's step on its prepared weights."""

    def __init__(self, cell: DecodingCell) -> None:
        self.cell, self.units = cell, cell.units

    def __call__(self, read: Tensor, state: Tensor) -> Tensor:
        return self.cell.step([Signal(read)], read, {"state": state}).states["state"]


def _attend_prepared(
    queries: Tensor, memory: Memory, scoring: Scoring, query: PreparedProduct | None, tanh: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    asked = queries if query is None else query(queries.flatten(0, 1)).view(*queries.shape[:2], -1)
    return attend_projected(asked, memory, scoring, tanh)
