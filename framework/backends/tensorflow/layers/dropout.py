"""Keras' dropout, which drops the places that torch drops, and drops them again where a gradient runs it once more."""

from __future__ import annotations

from typing import Any, cast

import keras
import tensorflow as tf

from framework.backends.tensorflow.dropout_masks import dropout_masks
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.backends.tensorflow.recomputation import CallLog
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import DropoutSpec


@keras.saving.register_keras_serializable(package="gatework")
class Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Zeroes a fraction ``rate`` of the values in training and scales the rest by ``1 / (1 - rate)``.

    The arguments are those of ``keras.layers.Dropout``.

    Source: Keras documentation, "Dropout layer".
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = CallLog()

    @property
    def call_numbers(self) -> keras.random.SeedGenerator:
        """The seed, and the number of the coming call."""
        return self.seed_generator

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The inputs with values dropped in training."""
        if not training or not self.rate:
            return inputs
        call = self._calls.enter(self.name)
        return inputs * call.first("mask", lambda: self._mask(inputs))

    def _mask(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.noise_shape is None:
            shape = inputs
        else:
            actual = tf.unstack(tf.shape(inputs))
            shape = tf.ones([actual[axis] if one is None else one for axis, one in enumerate(self.noise_shape)], inputs.dtype)
        [mask] = dropout_masks(self.seed_generator.next(), 0, 1, self.rate, shape)
        return mask


@builds("dropout")
def build_dropout(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Zeroes a fraction of the values in training."""
    spec = cast(DropoutSpec, planned.spec)
    return Dropout(spec.rate, seed=context.seed_of(planned.name, spec.seed), **context.shared(planned))
