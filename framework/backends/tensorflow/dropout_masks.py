"""Dropout masks of TensorFlow out of whole numbers; see :mod:`framework.backends.base.dropout`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from framework.backends.base.dropout import FIRST, SECOND, SPREAD, STARTS, WORD, threshold


def dropout_masks(key: tf.Tensor, stream: int, count: int, rate: float, like: tf.Tensor) -> list[tf.Tensor]:
    """What values are multiplied by: 0, or ``1 / (1 - rate)``.

    Args:
        key: ``(2,) int64``, the seed and :func:`numbered_call`: what a ``keras.random.SeedGenerator`` gives.
        stream: tells apart what a layer makes masks for.
        count: masks, such as one for each gate.
        rate: fraction to drop.
        like: whose shape and data type they have; its first axis are the rows of the batch.

    Returns:
        ``count`` masks.
    """
    if rate >= 1.0:
        return [tf.zeros_like(like)] * count
    shape = tf.shape(like)
    places = tf.cast(tf.range(tf.reduce_prod(shape[1:])), tf.uint32) * SPREAD
    seed, numbered = tf.unstack(key)
    number, first_row = _halves(numbered)
    rows = tf.cast(tf.range(shape[0]), tf.uint32) + first_row
    words = [*_halves(seed), number, tf.constant(0, tf.uint32), tf.constant(stream, tf.uint32)]
    masks = []
    for gate in range(count):
        one, two = (_folded([*words, tf.constant(gate, tf.uint32), rows], start)[:, None] for start in STARTS)
        kept = _mixed(places ^ one, two) ^ 2**31 >= threshold(rate) + 2**31  # as signed numbers
        masks.append(tf.reshape(tf.cast(kept, like.dtype), shape) * tf.constant(1.0 / (1.0 - rate), like.dtype))
    return masks


def numbered_call(number: int, first_row: int = 0) -> int:
    """A call's number, counted by the layer from there on, and the number of this process's first row within the whole batch."""
    return number | first_row << 32


def _halves(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The lower and the upper word of a number."""
    return tf.cast(number & WORD, tf.uint32), tf.cast(tf.bitwise.right_shift(number, 32) & WORD, tf.uint32)


def _folded(words: Sequence[tf.Tensor], start: int) -> tf.Tensor:
    """One word out of several, in order."""
    word = tf.constant(start, tf.uint32)
    for each in words:
        word = _mixed((word ^ each) + SPREAD)
    return word


def _mixed(words: tf.Tensor, moved: tf.Tensor | int = 0) -> tf.Tensor:
    """Mixes words, moved before the second product."""
    words = (words ^ tf.bitwise.right_shift(words, 16)) * FIRST
    words = ((words ^ tf.bitwise.right_shift(words, 15)) + moved) * SECOND
    return words ^ tf.bitwise.right_shift(words, 16)
