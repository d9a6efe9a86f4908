"""The equations of attention: keys of a memory, scores of a query, and the context; differentiated by TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from framework.backends.base.scoring import Scoring


@dataclass(frozen=True)
class Memory:
    """What is attended to, made once for all steps.

    Attributes:
        keys: ``(batch, places, units)``.
        values: ``(batch, places, features)``; zeros at places that are left out.
        blocked: ``(batch, places) bool``, the places that are left out, or None.
    """

    keys: tf.Tensor
    values: tf.Tensor
    blocked: tf.Tensor | None = None

    @classmethod
    def of(cls, places: tf.Tensor, mask: tf.Tensor | None, scoring: Scoring) -> Memory:
        """The memory of ``places (batch, places, features)``, of which ``mask (batch, places)`` says which count."""
        blocked = None if mask is None else tf.logical_not(tf.cast(mask, tf.bool))
        values = places if blocked is None else tf.where(tf.expand_dims(blocked, 2), tf.zeros_like(places), places)
        keys = values if scoring.key_kernel is None else tf.tensordot(values, scoring.key_kernel, 1)
        return cls(keys if scoring.key_bias is None else keys + scoring.key_bias, values, blocked)


def asked_of(queries: tf.Tensor, scoring: Scoring) -> tf.Tensor:
    """Queries ``(…, width)`` multiplied with their kernel, ``(…, units)``."""
    return queries if scoring.query_kernel is None else tf.tensordot(queries, scoring.query_kernel, 1)


def attend(asked: tf.Tensor, memory: Memory, scoring: Scoring) -> tuple[tf.Tensor, tf.Tensor]:
    """Contexts and weights.

    Where no place counts, all count alike; their values are zeros.

    Args:
        asked: queries that are multiplied with their kernel, ``(batch, queries, units)``, several for each row.
        memory: of the rows.
        scoring: the score's weights.

    Returns:
        ``(batch, queries, features)`` and ``(batch, queries, places)``.
    """
    if scoring.score is None:
        scores = tf.matmul(asked, memory.keys, transpose_b=True)
    else:
        scores = tf.tensordot(tf.tanh(memory.keys[:, None] + asked[:, :, None]), scoring.score, 1)
    if scoring.score_bias is not None:
        scores += scoring.score_bias
    if memory.blocked is not None:
        scores = tf.where(tf.expand_dims(memory.blocked, 1), tf.constant(scores.dtype.min, scores.dtype), scores)
    weights = tf.nn.softmax(scores)
    return tf.matmul(weights, memory.values), weights
