"""Activation functions by name: Keras' own, and the hard sigmoid of TensorFlow 2's Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Activation = Callable[[tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable(package="gatework")  # type: ignore[untyped-decorator]
def hard_sigmoid_tf2(x: tf.Tensor) -> tf.Tensor:
    """``0.2 x + 0.5`` cut to [0, 1]: what ``hard_sigmoid`` was before Keras 3, whose own is ``relu6(x + 3) / 6``.

    Source: TensorFlow 2.0 API documentation, ``tf.keras.activations.hard_sigmoid``.
    """
    return tf.clip_by_value(0.2 * x + 0.5, tf.cast(0.0, x.dtype), tf.cast(1.0, x.dtype))


def serialize_activation(function: Activation) -> Any:
    """What a config stores: the plain name where there is one."""
    return "hard_sigmoid_tf2" if function is hard_sigmoid_tf2 else keras.activations.serialize(function)


_SLOPES: tuple[tuple[tuple[Any, ...], Activation], ...] = (
    ((keras.activations.tanh, keras.ops.tanh, tf.tanh), lambda y: 1.0 - y * y),
    ((keras.activations.sigmoid, keras.ops.sigmoid, tf.sigmoid), lambda y: y * (1.0 - y)),
    ((keras.activations.relu, keras.ops.relu, tf.nn.relu), lambda y: tf.cast(y > 0, y.dtype)),
    ((keras.activations.linear,), tf.ones_like),
    ((keras.activations.hard_sigmoid, keras.ops.hard_sigmoid), lambda y: tf.cast((y > 0) & (y < 1), y.dtype) / 6.0),
    ((hard_sigmoid_tf2,), lambda y: tf.cast((y > 0) & (y < 1), y.dtype) * 0.2),
    ((keras.activations.softsign, keras.ops.softsign, tf.nn.softsign), lambda y: tf.square(1.0 - tf.abs(y))),
    ((keras.activations.exponential, tf.exp), tf.identity),
)


def slope(function: Activation) -> Activation | None:
    """The derivative of an activation as a function of its output, or None where it is not known here."""
    for same, derivative in _SLOPES:
        if any(function is one for one in same):
            return derivative
    return None
