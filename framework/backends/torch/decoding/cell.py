"""A GRU's decoding step with its weights prepared once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framework.backends.torch.decoding.form import Formed, States
from framework.backends.torch.gru.layer import GRU
from framework.backends.torch.gru.slopes import slope_of
from framework.backends.torch.product import PreparedProduct
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import made_plainly
from framework.backends.torch.weights import is_parameter
from framework.decoding.precision import Precision

_IN_PLACE: dict[Any, Any] = {torch.tanh: torch.tanh_, torch.sigmoid: torch.sigmoid_}


class DecodingCell:
    """A GRU's step form: one step, or a whole prompt, with its state given and taken. Several threads may use one at the same time.

    With ``embeddings``, a step reads the token numbers themselves: it looks their rows up in the table that embedding and input product
    make together, ``(vocabulary, 3·units)``, or, where the weights cannot be prepared, in the embeddings.

    Args:
        gru: the layer; its weights of now are used.
        embeddings: ``(vocabulary, features)`` of the embedding that the layer reads, or None.
        mask_zero: whether token 0 is masked by that embedding.
        carries: whether a step's state may be other than zeros; if not, nothing is multiplied with it.
        precision: of the products of a step; a prompt is read as it is.
    """

    def __init__(
        self,
        gru: GRU,
        embeddings: Tensor | None = None,
        mask_zero: bool = False,
        carries: bool = True,
        precision: Precision = "float32",
    ) -> None:
        assert gru.kernel is not None and gru.recurrent_kernel is not None
        self.units = gru.units
        self.dtype, self.device = gru.recurrent_kernel.dtype, gru.recurrent_kernel.device
        self.zero_output_for_mask = gru.zero_output_for_mask
        self.reader = _reader(gru)
        self.prepared = self._can_prepare(gru)
        self.table = None if embeddings is None else embeddings.detach()
        self.mask_zero = mask_zero
        if not self.prepared:
            return
        self.activation = _IN_PLACE.get(gru.activation, gru.activation)
        self.recurrent_activation = _IN_PLACE.get(gru.recurrent_activation, gru.recurrent_activation)
        self._widths = [2 * gru.units, gru.units]
        # A step's memory is used again at the next; each thread has its own, as another may be within a step just now.
        self._own = threading.local()
        input_bias, recurrent_bias = (None, None) if gru.bias is None else gru.bias.detach()
        self.recurrent = (
            PreparedProduct(gru.recurrent_kernel, recurrent_bias, precision)
            if carries
            else _FromZeros(gru.recurrent_kernel, recurrent_bias)
        )
        if self.table is None:
            self.input = PreparedProduct(gru.kernel, input_bias, precision)
        else:
            table = self.table.to(self.dtype) @ gru.kernel.detach()
            self.table = table if input_bias is None else table + input_bias

    @staticmethod
    def _can_prepare(gru: GRU) -> bool:
        """Whether both gates may be activated at once, the reset one only after the product: the function must look at each value alone."""
        return gru.reset_after and slope_of(gru.recurrent_activation) is not None and not made_plainly()

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step.

        Args:
            inputs: one, ``(rows, features)`` with the mask ``(rows,)``; none with a table.
            tokens: ``(rows,) int``, read with a table.
            states: ``state: (rows, units)``.

        Returns:
            The output ``(rows, units)`` and the new state, which is the same unless steps are masked.
        """
        state = states["state"]
        if self.table is None:
            value, mask = inputs[0]
        else:
            value, mask = tokens, tokens != 0 if self.mask_zero else None
        new = self._new_state(value, state)
        if mask is None:
            return _formed(Signal(new), new)
        counts = mask.unsqueeze(-1)
        new = torch.where(counts, new, state)
        return _formed(Signal(new * counts if self.zero_output_for_mask else new, mask), new)

    def _new_state(self, inputs: Tensor, state: Tensor) -> Tensor:
        if not self.prepared:
            read = inputs if self.table is None else self.table[inputs]
            return self.reader.step(read.to(self.dtype), state)
        scratch: _Scratch | None = getattr(self._own, "scratch", None)
        if scratch is None or scratch.rows != state.shape[0]:
            scratch = self._own.scratch = _Scratch(self, state.shape[0])
        if self.table is None:
            scratch.projected.copy_(self.input(inputs.to(self.dtype)))
        else:
            torch.index_select(self.table, 0, inputs, out=scratch.projected)
        inner_gates, inner = self.recurrent(state).split_with_sizes(self._widths, 1)
        torch.add(scratch.projected_gates, inner_gates, out=scratch.gates)
        gates = self.recurrent_activation(scratch.gates)
        if gates is not scratch.gates:
            scratch.gates.copy_(gates)
        candidate = torch.addcmul(scratch.projected_candidate, scratch.r, inner, out=scratch.candidate)
        return torch.lerp(self.activation(candidate), state, scratch.z)

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt.

        Args:
            inputs: one, ``(rows, time, features)``; the mask ``(rows, time)``.
            states: ``state: (rows, units)``.

        Returns:
            The outputs ``(rows, time, units)``, and the last state.
        """
        (value, mask), state = inputs[0], states["state"]
        outputs, last = self.reader(value.to(self.dtype), mask=mask, initial_state=state)
        if mask is not None and not self.zero_output_for_mask:
            # Before the first step that counts, the output is that of the step before the prompt, not the zeros of a new sequence.
            outputs = torch.where(mask.cummax(1).values.unsqueeze(-1), outputs, state.unsqueeze(1))
        return _formed(Signal(outputs, mask), last)


def _formed(output: Signal, state: Tensor) -> Formed:
    return Formed({"output": output, "state": Signal(state)}, {"state": state})


class _FromZeros:
    """What stands for the product of a state of zeros, ``(rows, 3·units)``: the bias."""

    def __init__(self, kernel: Tensor, bias: Tensor | None) -> None:
        self.row = kernel.new_zeros(kernel.shape[1]) if bias is None else bias

    def __call__(self, state: Tensor) -> Tensor:
        return self.row.expand(state.shape[0], -1)


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
    reader = GRU.from_config({**gru.get_config(), **changes})
    for name in ("kernel", "recurrent_kernel", "bias"):
        weight = getattr(gru, name)  # where it is computed from others, the value of now
        reader.register_parameter(name, weight if weight is None or is_parameter(gru, name) else nn.Parameter(weight.detach()))
    return reader.eval()
