"""Attention with several heads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from framework.backends.tensorflow.attention.memory import Memory

Values = Mapping[str, tf.Tensor]
"""The layer's weights by their planned names."""


def heads_memory(places: tf.Tensor, mask: Any, values: Values) -> Memory:
    """Keys ``(batch, places, heads, key_dim)`` and values ``(batch, places, heads, value_dim)`` of ``(batch, places, features)``."""
    blocked = None if mask is None else tf.logical_not(tf.cast(mask, tf.bool))
    places = places if blocked is None else tf.where(tf.expand_dims(blocked, 2), tf.zeros_like(places), places)
    return Memory(_projected(places, "key", values), _projected(places, "value", values), blocked)


def heads_weights(queries: tf.Tensor, memory: Memory, values: Values) -> tf.Tensor:
    """The weights of each head, ``(batch, heads, queries, places)``, for queries ``(batch, queries, width)``."""
    asked = _projected(queries, "query", values)
    scores = tf.einsum("bqhd,bphd->bhqp", asked, memory.keys) / math.sqrt(asked.shape[-1])
    if memory.blocked is not None:
        scores = tf.where(tf.expand_dims(tf.expand_dims(memory.blocked, 1), 1), tf.constant(scores.dtype.min, scores.dtype), scores)
    return tf.nn.softmax(scores)


def heads_output(weights: tf.Tensor, memory: Memory, values: Values) -> tf.Tensor:
    """The output ``(batch, queries, width)`` of all heads."""
    contexts = tf.einsum("bhqp,bphd->bqhd", weights, memory.values)
    output, bias = tf.einsum("bqhd,hdo->bqo", contexts, values["attention_output/kernel"]), values.get("attention_output/bias")
    return output if bias is None else output + bias


def _projected(x: tf.Tensor, name: str, values: Values) -> tf.Tensor:
    product, bias = tf.einsum("btf,fhd->bthd", x, values[f"{name}/kernel"]), values.get(f"{name}/bias")
    return product if bias is None else product + bias
