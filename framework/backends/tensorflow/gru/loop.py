"""The plain loop over time, differentiated by TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from framework.backends.tensorflow.gru.step import Step


def loop(step: Step, projected: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None, unroll: bool) -> tf.Tensor:
    """The states after each step; a masked step carries the state.

    Args:
        step: the equations with their weights.
        projected: ``(time, batch, 3 units)``.
        state: first state, ``(batch, units)``.
        mask: ``(time, batch) bool``, or None.
        unroll: write every step into the graph instead of a loop; needs a known number of steps.

    Returns:
        ``(time, batch, units)``.
    """
    if unroll or (tf.executing_eagerly() and projected.shape[0]):
        return _unrolled(step, projected, state, mask)
    return _while(step, projected, state, mask)


def _unrolled(step: Step, projected: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    masks = [None] * projected.shape[0] if mask is None else tf.unstack(mask[:, :, None])
    states = []
    for now, valid in zip(tf.unstack(projected), masks, strict=True):
        new = step(now, state)
        state = new if valid is None else tf.where(valid, new, state)
        states.append(state)
    return tf.stack(states)


def _while(step: Step, projected: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    steps = tf.shape(projected)[0] if projected.shape[0] is None else projected.shape[0]
    inputs = tf.TensorArray(projected.dtype, size=steps, element_shape=projected.shape[1:]).unstack(projected)
    valid = None if mask is None else tf.TensorArray(tf.bool, size=steps, element_shape=mask.shape[1:]).unstack(mask)
    states = tf.TensorArray(state.dtype, size=steps, element_shape=state.shape)

    def body(time: tf.Tensor, now: tf.Tensor, states: tf.TensorArray) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        new = step(inputs.read(time), now)
        if valid is not None:
            new = tf.where(valid.read(time)[:, None], new, now)
        return time + 1, new, states.write(time, new)

    result = tf.while_loop(
        lambda time, *_: time < steps,
        body,
        (tf.constant(0), state, states),
        maximum_iterations=steps,
        parallel_iterations=32,
        swap_memory=True,
    )
    return result[2].stack()
