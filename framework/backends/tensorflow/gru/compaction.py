"""Any mask for a kernel that knows only lengths: valid steps move to the front of their row, and the states back to their steps."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Compaction:
    """Where each step of each row goes.

    Attributes:
        order: for each place in the compacted row the step that comes there, ``(time, batch) int32``.
        lengths: number of steps to run for each row, ``(batch,) int32``; at least one, because cuDNN takes no empty row.
        last: for each step the place of the last valid step so far, -1 before the first one, ``(time, batch) int32``.
    """

    order: tf.Tensor
    lengths: tf.Tensor
    last: tf.Tensor

    @classmethod
    def of(cls, mask: tf.Tensor) -> Compaction:
        """The compaction for ``mask: (time, batch) bool``."""
        count = tf.cast(mask, tf.int32)
        order = tf.argsort(1 - count, axis=0, stable=True)
        return cls(order, tf.maximum(tf.reduce_sum(count, axis=0), 1), tf.cumsum(count, axis=0) - 1)

    def compact(self, sequence: tf.Tensor) -> tf.Tensor:
        """``(time, batch, features)`` with the valid steps of each row in front."""
        return _at(sequence, self.order)

    def spread(self, states: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        """States of the compacted rows ``(time, batch, units)`` at the steps they belong to, carried over masked steps.

        Args:
            states: what the kernel gave.
            first: state before the first step, ``(batch, units)``.
        """
        carried = _at(states, tf.maximum(self.last, 0))
        return tf.where((self.last >= 0)[:, :, None], carried, first)


def _at(sequence: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """``result[t, b] = sequence[places[t, b], b]``."""
    shape = tf.shape(sequence)
    flat = tf.reshape(sequence, (-1, sequence.shape[2]))
    taken = tf.gather(flat, places * shape[1] + tf.range(shape[1]))
    taken.set_shape(sequence.shape)
    return taken
