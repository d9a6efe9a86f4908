"""Loops over time: what runs one body a step, and the plain loop, differentiated by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import tensorflow as tf

from framework.backends.tensorflow.gru.step import Step

Projection = Callable[[tf.Tensor], tf.Tensor]

FEWEST_ROWS = 8
"""Batch from which on the inputs' product is made in each step. For few rows one product of all steps is faster, as it reads the weights
once: 20 ms instead of 27 at batch 4, time 50, 256 features, 512 units. For many, its result is too large for the caches: 10 % slower at
batch 64, time 16, 1024 units, and 12 ms instead of 7 at batch 32, time 50, 128 units with XLA (two cores of an AMD EPYC with AVX2)."""


def loop(step: Step, projection: Projection, sequence: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None, unroll: bool) -> tf.Tensor:
    """The states after each step; a masked step carries the state.

    Args:
        step: the equations with their weights.
        projection: gives ``x W + b`` of one step or of all, as :func:`~framework.backends.tensorflow.gru.step.project`.
        sequence: inputs, ``(time, batch, features)``.
        state: first state, ``(batch, units)``.
        mask: ``(time, batch) bool``, or None.
        unroll: write every step into the graph instead of a loop; needs a known number of steps.

    Returns:
        ``(time, batch, units)``.
    """
    steps = number_of_steps(sequence)
    project_each = sequence.shape[1] is None or sequence.shape[1] >= FEWEST_ROWS
    inputs = per_step(sequence if project_each else projection(sequence), unroll)
    valid = None if mask is None else per_step(mask, unroll)

    def body(time: Any, now: tf.Tensor, states: Steps) -> Sequence[Any]:
        given = inputs.read(time)
        ours = None if valid is None else valid.read(time)[:, None]
        new = carry(ours, step(projection(given) if project_each else given, at_valid(ours, now)), now)
        return new, states.write(time, new)

    _, states = run_steps(body, steps, (state, array(steps, state, unroll)), unroll)
    return stacked(states, sequence.shape[0], state)


def at_valid(valid: tf.Tensor | None, state: tf.Tensor) -> tf.Tensor:
    """The state that a step computes with: zeros in masked rows, where an unbounded activation could overflow for nothing.

    Args:
        valid: ``(batch, 1) bool``, or None.
        state: ``(batch, units)``.
    """
    return state if valid is None else tf.where(valid, state, tf.zeros_like(state))


def carry(valid: tf.Tensor | None, new: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """The state after a step: the new one, or in masked rows the one before; arguments as for :func:`at_valid`."""
    return new if valid is None else tf.where(valid, new, state)


def run_steps(
    body: Callable[..., Sequence[Any]], steps: Any, values: Sequence[Any], unroll: bool, backwards: bool = False
) -> Sequence[Any]:
    """Runs ``values = body(time, *values)`` for every step.

    Args:
        body: one step; keeps the shapes of the values.
        steps: how many.
        values: what goes from step to step; tensors and tensor arrays.
        unroll: write every step into the graph.
        backwards: from the last step to the first.
    """
    if unroll:
        for time in reversed(range(steps)) if backwards else range(steps):
            values = body(time, *values)
        return values
    result: Sequence[Any] = tf.while_loop(
        lambda count, *_: count < steps,
        lambda count, *values: (count + 1, *body(steps - 1 - count if backwards else count, *values)),
        (tf.constant(0), *values),
        maximum_iterations=steps,
        parallel_iterations=32,
    )
    return result[1:]


def number_of_steps(sequence: tf.Tensor) -> Any:
    """Length of the first axis: an int where it is known, else a tensor."""
    return tf.shape(sequence)[0] if sequence.shape[0] is None else int(sequence.shape[0])


class Steps(Protocol):
    """A tensor a step, of a loop that TensorFlow runs (``tf.TensorArray``, :class:`Whole`) or that is written out (:class:`Listed`)."""

    def read(self, index: Any) -> tf.Tensor:
        """The tensor of a step."""
        ...

    def write(self, index: Any, value: tf.Tensor) -> Steps:
        """What to go on with, the tensor of a step set."""
        ...

    def stack(self) -> tf.Tensor:
        """All of them, ``(time, …)``."""
        ...


class Listed:
    """Steps as plain tensors: every converter takes them, TFLite's only some of the operations of a ``tf.TensorArray``.

    Args:
        tensors: by step; what is written later may be None till then.
    """

    def __init__(self, tensors: Sequence[Any]) -> None:
        self._tensors = list(tensors)

    def read(self, index: int) -> tf.Tensor:
        """The tensor of a step."""
        return self._tensors[index]

    def write(self, index: int, value: tf.Tensor) -> Listed:
        """Itself, the tensor of a step set."""
        self._tensors[index] = value
        return self

    def stack(self) -> tf.Tensor:
        """All of them, ``(time, …)``."""
        return tf.stack(self._tensors)


class Whole(tf.experimental.ExtensionType):  # type: ignore[misc]
    """Steps as one tensor ``(time, …)``, of which each writing makes another: slow, but of nothing that a runtime for small devices lacks.

    Attributes:
        tensor: all of them.
    """

    tensor: tf.Tensor

    def read(self, index: Any) -> tf.Tensor:
        """The tensor of a step."""
        return tf.gather(self.tensor, index)

    def write(self, index: Any, value: tf.Tensor) -> Whole:
        """With the tensor of a step, ``(batch, width)``, set."""
        here = tf.equal(tf.range(tf.shape(self.tensor)[0]), index)
        return Whole(tf.where(here[:, None, None], value[None], self.tensor))

    def stack(self) -> tf.Tensor:
        """All of them."""
        return self.tensor


_WHOLE: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def whole_tensors() -> Iterator[None]:
    """Within, loops are made of plain tensors, without any ``tf.TensorArray``: whatever the batch, TFLite's own operations suffice."""
    token = _WHOLE.set(True)
    try:
        yield
    finally:
        _WHOLE.reset(token)


def array(steps: Any, like: tf.Tensor | tf.TensorSpec, unroll: bool) -> Steps:
    """To write a tensor like this to, a step at a time."""
    if unroll:
        return Listed([None] * steps)
    if _WHOLE.get() and tf.is_tensor(like):
        zeros = tf.zeros(tf.concat([[steps], tf.shape(like)], 0), like.dtype)
        zeros.set_shape((None if tf.is_tensor(steps) else steps, *like.shape))
        whole: Steps = Whole(zeros)
        return whole
    written: Steps = tf.TensorArray(like.dtype, size=steps, element_shape=like.shape, clear_after_read=False)
    return written


def per_step(sequence: tf.Tensor, unroll: bool) -> Steps:
    """The steps of ``(time, …)``, to be read one at a time."""
    if unroll:
        return Listed(tf.unstack(sequence))
    if _WHOLE.get():
        whole: Steps = Whole(sequence)
        return whole
    empty = tf.TensorArray(sequence.dtype, size=number_of_steps(sequence), element_shape=sequence.shape[1:], clear_after_read=False)
    elements: Steps = empty.unstack(sequence)
    return elements


def stacked(states: Steps, steps: int | None, state: tf.Tensor | tf.TensorSpec) -> tf.Tensor:
    """The steps as ``(time, batch, units)``, with what is known of its shape: how many they are, and that each is like ``state``."""
    result = states.stack()
    result.set_shape((steps, state.shape[0], state.shape[1]))
    return result
