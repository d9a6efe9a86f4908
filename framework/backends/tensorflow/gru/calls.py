"""Checks of the layer's call arguments, as early as shapes are known."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from framework.backends.tensorflow.gru.errors import CallError


def split_inputs(inputs: Any, initial_state: Any) -> tuple[Any, Any]:
    """Inputs and initial state, which the documented layer also takes as one list ``[inputs, initial_state]``.

    Raises:
        CallError: the list holds too much, or the state is given twice.
    """
    if not isinstance(inputs, (list, tuple)) or not inputs or not all(hasattr(part, "shape") for part in inputs):
        return inputs, initial_state
    if len(inputs) > 2:
        raise CallError(f"inputs is a list of {len(inputs)} tensors: expected [inputs, initial_state]; a GRU has one state")
    if len(inputs) == 2 and initial_state is not None:
        raise CallError("the initial state is given twice, in inputs=[inputs, initial_state] and as initial_state")
    return inputs[0], inputs[1] if len(inputs) == 2 else initial_state


def check_inputs(inputs: Any, time_major: bool, unroll: bool, features: int | None) -> None:
    """Refuses inputs that are ragged, sparse, or of the wrong shape.

    Raises:
        CallError: says what was expected.
    """
    axes = "(time, batch, features)" if time_major else "(batch, time, features)"
    if isinstance(inputs, tf.RaggedTensor):
        raise CallError(
            "inputs is a RaggedTensor, which Keras 3 layers do not take: "
            "pass inputs.to_tensor() with mask=tf.sequence_mask(inputs.row_lengths())"
        )
    if not hasattr(inputs, "shape") or isinstance(inputs, tf.SparseTensor):
        raise CallError(f"inputs is a {type(inputs).__name__}: expected a dense tensor {axes}")
    shape = tuple(inputs.shape)
    if len(shape) != 3:
        raise CallError(f"inputs have shape {shape}: expected {axes}")
    if not tf.as_dtype(inputs.dtype).is_floating:
        raise CallError(f"inputs have data type {tf.as_dtype(inputs.dtype).name}: expected floating-point numbers")
    if shape[0 if time_major else 1] == 0:
        raise CallError(f"inputs have shape {shape}, {axes}: there is no time step")
    if features is not None and shape[2] not in (None, features):
        raise CallError(f"inputs have {shape[2]} features (shape {shape}): the layer was built for {features}")
    if unroll and shape[0 if time_major else 1] is None:
        raise CallError(f"unroll=True needs a known number of steps, but the inputs have shape {shape}, {axes}")


def check_fixed_batch(batch: int | None, fixed: int) -> None:
    """Refuses another batch size than a stateful layer's.

    Raises:
        CallError: names both.
    """
    if batch is not None and batch != fixed:
        raise CallError(f"inputs have batch size {batch}: this stateful layer was built for {fixed}")


def check_state(state: Any, batch: int | None, units: int) -> None:
    """Refuses an initial state of the wrong shape.

    Raises:
        CallError: names both shapes.
    """
    shape = tuple(state.shape) if hasattr(state, "shape") else None
    if shape is None or len(shape) != 2 or shape[1] not in (None, units) or (None not in (shape[0], batch) and shape[0] != batch):
        raise CallError(f"initial_state has shape {shape}: expected (batch, units) = ({batch}, {units})")


def single(argument: str, value: Any) -> Any:
    """The one tensor of an argument that may also be a list of one.

    Raises:
        CallError: the list does not hold exactly one.
    """
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) != 1:
        raise CallError(f"{argument} is a list of {len(value)}: expected one tensor, or a list of one")
    return value[0]
