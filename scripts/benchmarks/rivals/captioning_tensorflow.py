"""The tutorial's captioner as it is written there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from benchmarks.rivals.attending_tensorflow import Decoder, load, step_of
from benchmarks.rivals.captioning import Sizes
from framework.data.batches import Batch


class Encoder(keras.Model):
    """What is seen of a photo ``(batch, places, features)`` to its places as they are attended to, and a first state of zeros."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.dense, self.units = keras.layers.Dense(sizes.decoder.memory, activation="relu"), sizes.decoder.units

    def call(self, image: Any) -> Any:
        """Places ``(batch, places, memory)`` and the state."""
        return self.dense(image), tf.zeros((tf.shape(image)[0], self.units))


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names."""
    encoder, decoder = Encoder(sizes), Decoder(sizes.decoder)
    memory, state = encoder(tf.zeros((1, 1, sizes.features)))
    decoder(tf.zeros((1, 1), tf.int32), state, memory)
    load({"encoder": encoder.dense, **decoder.layers_by_name(("hidden", "logits"))}, weights)
    return step_of(encoder, decoder, "image")
