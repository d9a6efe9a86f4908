"""The tutorial's translator as it is written there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from benchmarks.rivals.attending_tensorflow import Decoder, load, step_of
from benchmarks.rivals.translation import Sizes
from framework.data.batches import Batch


class Encoder(keras.Model):
    """Word numbers ``(batch, places)`` to a state for each and the last one."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = keras.layers.Embedding(sizes.source, sizes.width)
        self.gru = keras.layers.GRU(sizes.units, return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform")

    def call(self, source: Any) -> Any:
        """States ``(batch, places, units)`` and the last one."""
        return self.gru(self.embedding(source))


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names."""
    encoder, decoder = Encoder(sizes), Decoder(sizes.decoder)
    memory, state = encoder(tf.zeros((1, 1), tf.int32))
    decoder(tf.zeros((1, 1), tf.int32), state, memory)
    load({"source_embedding": encoder.embedding, "encoder": encoder.gru, **decoder.layers_by_name(("logits",))}, weights)
    return step_of(encoder, decoder, "source")
