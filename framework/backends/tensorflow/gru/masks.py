"""What a mask of time steps means: checks, and the output sequence that follows from the states."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from framework.backends.tensorflow.gru.errors import CallError


def check_mask_shape(mask: Any, inputs: Any, time_major: bool) -> None:
    """Refuses a mask that does not belong to the inputs, as far as the shapes are known.

    Raises:
        CallError: the mask has not the first two axes of the inputs.
    """
    expected, given = tuple(inputs.shape[:2]), tuple(mask.shape)
    fits = len(given) == 2 and all(a is None or b is None or a == b for a, b in zip(given, expected, strict=True))
    if not fits:
        axes = "(time, batch)" if time_major else "(batch, time)"
        raise CallError(f"mask has shape {given}: expected {axes} = {expected}, the first two axes of the inputs")


def time_major_mask(mask: tf.Tensor, inputs: tf.Tensor, time_major: bool) -> tf.Tensor:
    """The mask as ``(time, batch) bool``; lengths that only running shows are checked there.

    Args:
        mask: the first two axes of the inputs; any data type, zero is masked.
        inputs: ``(time, batch, features)``.
        time_major: whether the mask is ``(time, batch)`` already.
    """
    mask = tf.cast(mask, tf.bool)
    if not time_major:
        mask = tf.transpose(mask)
    if mask.shape[0] is None or inputs.shape[0] is None:
        message = "mask and inputs have different numbers of time steps"
        check = tf.debugging.assert_equal(tf.shape(mask)[0], tf.shape(inputs)[0], message=message)
        with tf.control_dependencies([check] if check is not None else []):
            mask = tf.identity(mask)
    return mask


def without_masked(sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """``(time, batch, features)`` with zeros at masked steps: what stands there, be it NaN, reaches neither outputs nor gradients."""
    return tf.where(tf.expand_dims(mask, 2), sequence, tf.zeros_like(sequence))


def outputs_of(states: tf.Tensor, mask: tf.Tensor | None, zero_output_for_mask: bool) -> tf.Tensor:
    """The outputs of all steps.

    A masked step repeats the output before, which is zeros until the first valid step, or gives zeros.

    Args:
        states: ``(time, batch, units)``, carried over masked steps.
        mask: ``(time, batch) bool``, or None.
        zero_output_for_mask: zeros at every masked step.

    Returns:
        ``(time, batch, units)``.
    """
    if mask is None:
        return states
    shown = mask if zero_output_for_mask else seen(mask)
    return tf.where(tf.expand_dims(shown, 2), states, tf.zeros_like(states))


def last_output_of(states: tf.Tensor, mask: tf.Tensor | None, zero_output_for_mask: bool) -> tf.Tensor:
    """The output of the last step, ``(batch, units)``; arguments as for :func:`outputs_of`."""
    if mask is None:
        return states[-1]
    shown = mask[-1] if zero_output_for_mask else tf.reduce_any(mask, axis=0)
    return tf.where(shown[:, None], states[-1], tf.zeros_like(states[-1]))


def seen(mask: tf.Tensor) -> tf.Tensor:
    """Whether a valid step has come, this one included: ``(time, batch) bool``."""
    return tf.cumsum(tf.cast(mask, tf.int32), axis=0) > 0
