"""An attending decoder, one step after another, in plain torch: the form to read, to record, and to differentiate twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from framework.backends.torch.attention.memory import Memory
from framework.backends.torch.gru.loop import Cell, Masks, Weights, project, step
from framework.backends.torch.recorded_loop import over_time, varying


class CellStep(Protocol):
    """One step of a recurrent cell."""

    @property
    def units(self) -> int:
        """Width of the state."""
        ...

    def __call__(self, read: Tensor, state: Tensor) -> Tensor:
        """The new state ``(batch, units)``, which is the output as well."""
        ...


@dataclass(frozen=True)
class DecoderCell:
    """One recurrent cell of a decoder, with the dropout of this call.

    Attributes:
        weights: of the cell.
        cell: its activations.
        input_masks: dropout on what it reads, ``(batch, features)`` each.
        recurrent_masks: dropout on its state, ``(batch, units)`` each.
    """

    weights: Weights
    cell: Cell
    input_masks: Masks = None
    recurrent_masks: Masks = None

    @property
    def units(self) -> int:
        """Width of the state."""
        return self.weights.units

    def __call__(self, read: Tensor, state: Tensor) -> Tensor:
        """The new state ``(batch, units)``."""
        return step(project(read[None], self.weights, self.input_masks)[0], state, self.weights, self.cell, self.recurrent_masks)


@dataclass(frozen=True)
class Decoder:
    """What an attending decoder does at each step, beside the memory.

    Attributes:
        attend: gives contexts ``(rows, queries, features)`` and weights ``(rows, queries, places)`` of queries ``(rows, queries, width)``.
        cells: in order.
        before_cell: whether the state before the step is the query; after it otherwise.
        carries: whether cells start from their states; from zeros otherwise, and the one state is the query.
        vector: gives the attention vector of ``[context; output]``, ``(…, features + units)``; or None.
        feeds: whether a step reads the attention vector (the context where there is none) of the step before.
    """

    attend: Callable[[Tensor, Memory], tuple[Tensor, Tensor]]
    cells: Sequence[CellStep]
    before_cell: bool = True
    carries: bool = True
    vector: Callable[[Tensor], Tensor] | None = None
    feeds: bool = False


@dataclass(frozen=True)
class DecoderState:
    """What goes from step to step.

    Attributes:
        states: of the cells, ``(batch, units)`` each; without ``carries`` the query alone.
        fed: what the next step reads beside its input, ``(batch, width)``; None where nothing is fed.
    """

    states: Sequence[Tensor]
    fed: Tensor | None = None


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives for a sequence; times first.

    Attributes:
        outputs: states of the last cell, ``(time, batch, units)``.
        contexts: ``(time, batch, features)``.
        weights: of the attention, ``(time, batch, places)``.
        states: the last states of the cells, ``(batch, units)`` each; without ``carries`` the query alone.
        vectors: attention vectors ``(time, batch, width)`` where the loop makes them.
    """

    outputs: Tensor
    contexts: Tensor
    weights: Tensor
    states: Sequence[Tensor] = field(default_factory=tuple)
    vectors: Tensor | None = None


def decode_step(read: Tensor, before: DecoderState, memory: Memory, decoder: Decoder) -> tuple[DecoderState, Tensor, Tensor]:
    """One step: from what it reads ``(batch, features)`` to the new state, the context and the weights.

    The memory may have one row for several neighbouring rows of what is read.
    """
    query = before.states[-1]
    if decoder.before_cell:
        context, weights = _attend(query, memory, decoder)
        read = torch.cat([context, read], dim=-1)
    elif before.fed is not None:
        read = torch.cat([before.fed, read], dim=-1)
    states = []
    starts = before.states if decoder.carries else [read.new_zeros(read.shape[0], cell.units) for cell in decoder.cells]
    for cell, start in zip(decoder.cells, starts, strict=True):
        read = cell(read, start)
        states.append(read)
    if not decoder.before_cell:
        context, weights = _attend(read, memory, decoder)
    fed = None
    if decoder.feeds:
        fed = context if decoder.vector is None else decoder.vector(torch.cat([context, read], dim=-1))
    return DecoderState(states if decoder.carries else states[-1:], fed), context, weights


def _attend(query: Tensor, memory: Memory, decoder: Decoder) -> tuple[Tensor, Tensor]:
    context, weights = decoder.attend(query.reshape(memory.keys.shape[0], -1, query.shape[1]), memory)
    return context.flatten(0, 1), weights.flatten(0, 1)


def loop(inputs: Tensor, first: DecoderState, memory: Memory, decoder: Decoder, mask: Tensor | None = None) -> Decoded:
    """All steps of a sequence.

    Args:
        inputs: ``(time, batch, features)``.
        first: before the first step.
        memory: attended to.
        decoder: of the layer.
        mask: ``(time, batch) bool``; a step that is False carries all states on.
    """
    if varying(inputs):
        return _recorded(inputs, first, memory, decoder, mask)
    counts = None if mask is None else mask[:, :, None].unbind(0)
    state, every, vectors = first, [], list[Tensor]()
    for t, read in enumerate(inputs.unbind(0)):
        new, context, weights = decode_step(read, state, memory, decoder)
        state = new if counts is None else carried(counts[t], new, state)
        every.append((state.states[-1], context, weights))
        if state.fed is not None and decoder.vector is not None:
            vectors.append(state.fed)
    outputs, contexts, all_weights = (torch.stack([one[part] for one in every]) for part in range(3))
    return Decoded(outputs, contexts, all_weights, state.states, torch.stack(vectors) if vectors else None)


def _recorded(inputs: Tensor, first: DecoderState, memory: Memory, decoder: Decoder, mask: Tensor | None) -> Decoded:
    """The same as one node of a graph that is recorded for any number of steps."""
    count, masked = len(first.states), mask is not None

    def body(held: list[Tensor], read: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        before = DecoderState(held[:count], held[count] if len(held) > count else None)
        new, context, weights = decode_step(read[0], before, memory, decoder)
        state = carried(read[1], new, before) if masked else new
        after = [*state.states, *([] if state.fed is None else [state.fed])]
        return after, [state.states[-1], context, weights, *([] if state.fed is None or decoder.vector is None else [state.fed])]

    start = [*first.states, *([] if first.fed is None else [first.fed])]
    last, (outputs, contexts, weights, *vectors) = over_time(body, start, [inputs] if mask is None else [inputs, mask[:, :, None]])
    return Decoded(outputs, contexts, weights, last[:count], vectors[0] if vectors else None)


def carried(counts: Tensor, new: DecoderState, before: DecoderState) -> DecoderState:
    """The new state where ``counts (batch, 1) bool``, the one before elsewhere."""
    states = [torch.where(counts, one, other) for one, other in zip(new.states, before.states, strict=True)]
    if new.fed is None or before.fed is None:
        return DecoderState(states)
    return DecoderState(states, torch.where(counts, new.fed, before.fed))
