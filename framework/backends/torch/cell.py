"""A GRU's decoding step with its weights prepared once."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from framework.backends.torch.gru.layer import GRU
from framework.backends.torch.gru.slopes import slope_of
from framework.backends.torch.layers.base import Signal
from framework.backends.torch.product import PreparedProduct
from framework.backends.torch.weights import is_parameter

_IN_PLACE: dict[Any, Any] = {torch.tanh: torch.tanh_, torch.sigmoid: torch.sigmoid_}

LARGEST_TABLE = 64 * 2**20
"""Bytes that an embedding folded into a GRU may take."""


class DecodingCell:
    """One step, or a whole prompt, of a GRU with its state given and taken. Several threads may use one cell at the same time.

    With ``embeddings``, the inputs are token numbers: embedding and input product are one table ``(vocabulary, 3·units)``, and a step
    looks its row up.

    Args:
        gru: the layer; its weights of now are used.
        embeddings: ``(vocabulary, features)`` of an embedding that nothing but this layer reads, or None.
    """

    def __init__(self, gru: GRU, embeddings: Tensor | None = None) -> None:
        assert gru.kernel is not None and gru.recurrent_kernel is not None
        self.units = gru.units
        self.dtype, self.device = gru.recurrent_kernel.dtype, gru.recurrent_kernel.device
        self.zero_output_for_mask = gru.zero_output_for_mask
        self.reader = _reader(gru)
        self.prepared = self._can_prepare(gru)
        self.table: Tensor | None = None
        if not self.prepared:
            return
        self.activation = _IN_PLACE.get(gru.activation, gru.activation)
        self.recurrent_activation = _IN_PLACE.get(gru.recurrent_activation, gru.recurrent_activation)
        self._widths = [2 * gru.units, gru.units]
        # A step's memory is used again at the next; each thread has its own, as another may be within a step just now.
        self._own = threading.local()
        input_bias, recurrent_bias = (None, None) if gru.bias is None else gru.bias.detach()
        self.recurrent = PreparedProduct(gru.recurrent_kernel, recurrent_bias)
        if embeddings is None:
            self.input = PreparedProduct(gru.kernel, input_bias)
        else:
            table = embeddings.detach().to(self.dtype) @ gru.kernel.detach()
            self.table = table if input_bias is None else table + input_bias

    @staticmethod
    def can_fold(gru: GRU, embeddings: Tensor) -> bool:
        """Whether an embedding can be folded into this layer's input product, and the table is small enough."""
        size = embeddings.shape[0] * 3 * gru.units * embeddings.element_size()
        return DecodingCell._can_prepare(gru) and size <= LARGEST_TABLE

    @staticmethod
    def _can_prepare(gru: GRU) -> bool:
        """Whether both gates may be activated at once, the reset one only after the product: the function must look at each value alone."""
        return gru.reset_after and slope_of(gru.recurrent_activation) is not None

    def step(self, inputs: Signal, state: Tensor) -> tuple[Signal, Tensor]:
        """One step.

        Args:
            inputs: ``(rows, features)``, or ``(rows,) int`` with a table; the mask ``(rows,)``.
            state: ``(rows, units)``.

        Returns:
            The output ``(rows, units)`` and the new state, which is the same unless steps are masked.
        """
        new = self._new_state(inputs.value, state)
        if inputs.mask is None:
            return Signal(new), new
        counts = inputs.mask.unsqueeze(-1)
        new = torch.where(counts, new, state)
        output = new * counts if self.zero_output_for_mask else new
        return Signal(output, inputs.mask), new

    def _new_state(self, inputs: Tensor, state: Tensor) -> Tensor:
        if not self.prepared:
            return self.reader.step(inputs.to(self.dtype), state)
        scratch: _Scratch | None = getattr(self._own, "scratch", None)
        if scratch is None or scratch.rows != state.shape[0]:
            scratch = self._own.scratch = _Scratch(self, state.shape[0])
        if self.table is None:
            scratch.projected.copy_(self.input(inputs.to(self.dtype)))
        else:
            torch.index_select(self.table, 0, inputs, out=scratch.projected)
        inner_gates, inner = torch.split(self.recurrent(state), self._widths, 1)
        torch.add(scratch.projected_gates, inner_gates, out=scratch.gates)
        gates = self.recurrent_activation(scratch.gates)
        if gates is not scratch.gates:
            scratch.gates.copy_(gates)
        candidate = torch.addcmul(scratch.projected_candidate, scratch.r, inner, out=scratch.candidate)
        return torch.lerp(self.activation(candidate), state, scratch.z)

    def read(self, inputs: Signal, state: Tensor) -> tuple[Signal, Tensor]:
        """A whole prompt.

        Args:
            inputs: ``(rows, time, features)``; the mask ``(rows, time)``.
            state: ``(rows, units)``.

        Returns:
            The outputs ``(rows, time, units)``, and the last state.
        """
        outputs, last = self.reader(inputs.value.to(self.dtype), mask=inputs.mask, initial_state=state)
        if inputs.mask is not None and not self.zero_output_for_mask:
            # Before the first step that counts, the output is that of the step before the prompt, not the zeros of a new sequence.
            outputs = torch.where(inputs.mask.cummax(1).values.unsqueeze(-1), outputs, state.unsqueeze(1))
        return Signal(outputs, inputs.mask), last


class _Scratch:
    """Memory and views of it for a step of so many rows, so that none is made at every step."""

    def __init__(self, cell: DecodingCell, rows: int) -> None:
        self.rows = rows
        units = cell.units
        self.projected = torch.empty(rows, 3 * units, dtype=cell.dtype, device=cell.device)
        self.projected_gates, self.projected_candidate = self.projected[:, : 2 * units], self.projected[:, 2 * units :]
        # z and r lie side by side: one addition and one activation for both.
        self.gates = self.projected.new_empty(rows, 2 * units)
        self.z, self.r = self.gates[:, :units], self.gates[:, units:]
        self.candidate = self.projected.new_empty(rows, units)


def _reader(gru: GRU) -> GRU:
    """A GRU on the same weights, and in their dtype, that gives all outputs and its last state, keeps none, and drops nothing."""
    changes = {
        "return_sequences": True, "return_state": True, "stateful": False, "time_major": False, "activity_regularizer": None, "dtype": None,
    }  # fmt: skip
    reader = GRU.from_spec(gru.arguments.spec.model_copy(update=changes))
    for name in ("kernel", "recurrent_kernel", "bias"):
        weight = getattr(gru, name)  # where it is computed from others, the value of now
        reader.register_parameter(name, weight if weight is None or is_parameter(gru, name) else nn.Parameter(weight.detach()))
    return reader.eval()
