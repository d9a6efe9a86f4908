"""The call of the GRU: reads what is given, runs the sequence, and returns what is asked for."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from framework.backends.torch.activations import Activation
from framework.backends.torch.gru.loop import Cell, Weights, step
from framework.backends.torch.gru.masks import read_mask, visible_steps
from framework.backends.torch.gru.routes import Sequences, choose, run_route
from framework.backends.torch.gru.surface import GRUSurface
from framework.backends.torch.precision import autocasts
from framework.backends.torch.recomputation import Call
from framework.backends.torch.tracing import as_one_node, ordinary, recorded, refuse_keeping, refuse_recording, transformed
from framework.builder.cudnn import CudnnVerdict, GRUTraits, judge
from framework.errors import InputError, UnsupportedArgument

logger = logging.getLogger("gatework.gru")


class GRUCalls(GRUSurface):
    """``forward`` and ``step`` of a GRU."""

    _told: bool

    def build(self, input_shape: Any, device: torch.device | str | None = None) -> None:
        """Creates the weights."""
        raise NotImplementedError

    def forward(self, inputs: Any, mask: Any = None, training: bool | None = None, initial_state: Any = None) -> Any:
        """Runs a batch of sequences.

        Args:
            inputs: ``(batch, time, features)``, or ``(time, batch, features)`` with ``time_major``; or a list of it and the first state.
            mask: ``(batch, time)`` (``(time, batch)`` with ``time_major``): steps that count. A masked step carries the state on and
                repeats the output before it (zeros before the first step that counts), or puts out zeros with ``zero_output_for_mask``.
            training: whether dropout applies; None is the module's own mode.
            initial_state: ``(batch, units)`` or a list with it; zeros, or the kept state of a stateful layer, when not given.

        Returns:
            The last output ``(batch, units)``, or with ``return_sequences`` the outputs ``(batch, time, units)`` in the layout of the
            inputs; with ``return_state`` the tuple of that and the last state ``(batch, units)``. With ``go_backwards``, outputs are in
            the order of processing, the last step's first.

        Raises:
            InputError: a shape or data type does not fit; the message names the argument.
            UnsupportedArgument: ``use_cudnn=True``, and the inputs are not on a GPU; or a tracer or an export records the layer, and it is
                stateful or drops out.
        """
        node = as_one_node(self, self.label, inputs, mask, training, initial_state)
        if node is not None:
            return node
        sequence, initial_state = self._read_inputs(inputs, initial_state)
        steps, batch = sequence.shape[:2]
        time_mask = read_mask(mask, batch, steps, self.time_major, sequence.device)
        training = self.training if training is None else training
        call = self._enter(training)
        state = self._first_state(initial_state, batch, sequence, call)
        if self.go_backwards:
            sequence = sequence.flip(0)
            time_mask = None if time_mask is None else time_mask.flip(0)
        hidden, last = self._run(sequence, state, time_mask, call if training else None)
        if self.stateful and not (call is not None and call.again):
            refuse_keeping(self.label, last, self.recurrent_kernel)
            self._keep(last)
        output = self._output(hidden, last, time_mask)
        results = (output, last) if self.return_state else (output,)
        self._record_activity(results)
        return results if self.return_state else output

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """One step without dropout, for decoding.

        Args:
            inputs: ``(batch, features)``.
            state: ``(batch, units)``.

        Returns:
            The new state ``(batch, units)``, which is the output as well.
        """
        self._weights()  # which brings pruned weights up to date
        weights = self._cast_weights(inputs.dtype)
        projected = inputs @ weights.kernel
        if weights.input_bias is not None:
            projected = projected + weights.input_bias
        return step(projected, state, weights, self._cast_cell(inputs.dtype))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output: that of the inputs in the order of the outputs with ``return_sequences``, else None.

        With ``return_state``, the list of it and None.
        """
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        result = None
        if mask is not None and self.return_sequences:
            result = torch.as_tensor(mask)
            if self.go_backwards:
                result = result.flip(0 if self.time_major else 1)
        return [result, None] if self.return_state else result

    def _read_inputs(self, inputs: Any, initial_state: Any) -> tuple[Tensor, Any]:
        """``inputs`` as ``(time, batch, features)`` in the dtype of the computation, and the first state."""
        if isinstance(inputs, (list, tuple)):
            if len(inputs) > 1 and initial_state is not None:
                raise InputError(f"{self.label}: the first state is given twice, in inputs and as initial_state")
            initial_state = list(inputs[1:]) or initial_state
            inputs = inputs[0]
        tensor = inputs if isinstance(inputs, Tensor) else torch.as_tensor(inputs)
        if tensor.dim() != 3:
            layout = "(time, batch, features)" if self.time_major else "(batch, time, features)"
            raise InputError(f"{self.label}: inputs has the shape {tuple(tensor.shape)}; it must be {layout}")
        if not tensor.is_floating_point():
            raise InputError(f"{self.label}: inputs has the data type {tensor.dtype}; it must be a floating-point type such as float32")
        sequence = tensor if self.time_major else tensor.transpose(0, 1)
        if not len(sequence):
            raise InputError(f"{self.label}: inputs has no time steps, its shape is {tuple(tensor.shape)}")
        if self.recurrent_kernel is None:
            self.build(tensor.shape[-1], tensor.device)
        self._check_width(tensor.shape[-1])
        assert self.recurrent_kernel is not None
        return sequence.to(self._compute_dtype(tensor.device.type, self.recurrent_kernel.dtype)), initial_state

    def _check_width(self, features: int) -> None:
        if self.kernel is not None and self.kernel.shape[0] != features:
            raise InputError(f"{self.label}: inputs are {features} wide; the layer is built for {self.kernel.shape[0]}")

    def _enter(self, training: bool) -> Call | None:
        """The call, where running it again would move something: dropout, or a kept state."""
        if training and (self.dropout or self.recurrent_dropout):
            refuse_recording(self.label, "the dropout mask of a layer in training", "call eval() on the model first")
        elif not self.stateful or recorded() or transformed() or not (training or torch.is_grad_enabled()):
            return None
        return self.call_log.enter(self.label)

    def _first_state(self, given: Any, batch: int, sequence: Tensor, call: Call | None) -> Tensor:
        kept = self.state if call is None or not self.stateful else call.first("kept state", self.state)
        if given is None:
            self._check_batch(batch, kept)
            if not self.stateful or kept is None:
                return sequence.new_zeros(batch, self.units)
            given = kept
        state = self._single_state(given, "initial_state")
        if tuple(state.shape) != (batch, self.units):
            raise InputError(
                f"{self.label}: initial_state has the shape {tuple(state.shape)}; for this input it must be {(batch, self.units)}, "
                "that is (batch, units)"
            )
        return state.to(device=sequence.device, dtype=sequence.dtype)

    def _check_batch(self, batch: int, kept: Tensor | None) -> None:
        expected = self.arguments.shape.batch if kept is None else kept.shape[0]
        if self.stateful and expected is not None and batch != expected:
            raise InputError(
                f"{self.label} is stateful and keeps {expected} rows, but this batch has {batch}; "
                "every batch must have the same number of rows (reset_states(states) with another number changes it)"
            )

    def _run(self, sequence: Tensor, state: Tensor, mask: Tensor | None, training: Call | None) -> tuple[Tensor, Tensor]:
        """Every state ``(time, batch, units)`` of a sequence in the order of processing, and the last one ``(batch, units)``.

        Dropout applies in a call in training, which is given then.
        """
        batch, features = sequence.shape[1:]
        input_masks: list[Tensor] = []
        recurrent_masks: list[Tensor] = []
        if training is not None and self.dropout:
            input_masks = self.dropout_masks.apply_next(training, batch, sequence, features, 3 if self.implementation == 1 else 1)
        if training is not None and self.recurrent_dropout:
            recurrent_masks = self.recurrent_dropout_masks.apply_next(training, batch, sequence, self.units, 3)
        given = Sequences(sequence, state, mask, input_masks, recurrent_masks)
        weights, cell = self._cast_weights(sequence.dtype), self._cast_cell(sequence.dtype)
        route = choose(given, weights, cell, self._on_cudnn(sequence, mask))
        if not autocasts(sequence.device.type):
            return run_route(route, given, weights, cell)
        # Everything is in the data type of the computation by now; autocast would only cast again.
        with torch.autocast(sequence.device.type, enabled=False):
            return run_route(route, given, weights, cell)

    def _output(self, hidden: Tensor, last: Tensor, mask: Tensor | None) -> Tensor:
        """The outputs in the layout of the inputs, or the last one."""
        hides = None if mask is None else ~visible_steps(mask, self.zero_output_for_mask)[:, :, None]
        if not self.return_sequences:
            return last if hides is None else last.masked_fill(hides[-1], 0.0)
        shown = hidden if hides is None else hidden.masked_fill(hides, 0.0)
        if self.time_major:
            return shown
        batch_major = shown.transpose(0, 1)
        # The scan's backward pass needs the states: a copy may be written over, and what reads it next wants it contiguous anyway.
        needed = hides is None and shown.requires_grad and ordinary(shown)
        return batch_major.clone(memory_format=torch.contiguous_format) if needed else batch_major

    def _cast_weights(self, dtype: torch.dtype) -> Weights:
        assert self.kernel is not None and self.recurrent_kernel is not None
        return Weights(self.kernel.to(dtype), self.recurrent_kernel.to(dtype), None if self.bias is None else self.bias.to(dtype))

    def _cast_cell(self, dtype: torch.dtype) -> Cell:
        cell = self.cell
        if cell is self._cell:
            return cell
        return replace(cell, activation=_in_type(cell.activation, dtype), recurrent_activation=_in_type(cell.recurrent_activation, dtype))

    def cudnn_verdict(self, device: str = "auto", dtype: str = "float32", masked: bool = False) -> CudnnVerdict:
        """Whether cuDNN can run this layer, and why.

        Args:
            device: ``gpu``, ``cpu``, or ``auto`` where it is not known yet.
            dtype: of the computation.
            masked: whether a mask comes with the inputs.
        """
        traits = GRUTraits.from_spec(self.arguments.spec, "torch", device, dtype, masked, "auto")
        own = {name: "a function of its own" for name in ("activation", "recurrent_activation") if name in self.arguments.functions}
        return judge(replace(traits, implementation=self.implementation, **own))  # type: ignore[arg-type]

    def _refuse_impossible_cudnn(self) -> None:
        if self.use_cudnn is True:
            self._require(self.cudnn_verdict())

    def _require(self, verdict: CudnnVerdict) -> None:
        if not verdict.eligible:
            raise UnsupportedArgument(f"{self.label}: use_cudnn=True, but cuDNN cannot run it: " + " | ".join(verdict.reasons()))

    def _on_cudnn(self, sequence: Tensor, mask: Tensor | None) -> bool:
        """Whether cuDNN runs this call. Refuses what was demanded and cannot be had, and says once why a layer on a GPU is elsewhere."""
        if self.use_cudnn is False or (self.use_cudnn == "auto" and not sequence.is_cuda):
            return False
        dtype = str(sequence.dtype).removeprefix("torch.")
        verdict = self.cudnn_verdict("gpu" if sequence.is_cuda else "cpu", dtype, mask is not None)
        if self.use_cudnn is True:
            self._require(verdict)
        elif not verdict.eligible and not self._told:
            logger.warning("%s does not run on cuDNN: %s", self.label, " | ".join(verdict.reasons()))
            self._told = True
        return verdict.eligible

    def __prepare_scriptable__(self) -> None:
        """Says to ``torch.jit.script``, which compiles Python's source, what it cannot do.

        Raises:
            UnsupportedArgument: always.
        """
        raise UnsupportedArgument(
            f"{self.label}: torch.jit.script cannot compile it; torch.jit.trace and torch.export.export can record it"
        )


def _in_type(function: Activation, dtype: torch.dtype) -> Activation:
    """An activation whose own parameters are in the data type of the computation."""
    if not isinstance(function, nn.Module):
        return function
    parameters = {name: one.to(dtype) if one.is_floating_point() else one for name, one in function.named_parameters()}
    if all(parameters[name] is one for name, one in function.named_parameters()):
        return function
    return lambda x: functional_call(function, parameters, (x,))
