"""The tutorial's translator as it is written there: Keras models, and a ``tf.function`` that unrolls the target's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

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


class Attention(keras.layers.Layer):
    """Bahdanau's: the context ``(batch, units)`` of a query ``(batch, units)``."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.query, self.memory, self.score = keras.layers.Dense(units), keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, query: Any, memory: Any) -> Any:
        """See the class."""
        score = self.score(tf.nn.tanh(self.query(tf.expand_dims(query, 1)) + self.memory(memory)))
        return tf.reduce_sum(tf.nn.softmax(score, axis=1) * memory, axis=1)


class Decoder(keras.Model):
    """One word of the target."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = keras.layers.Embedding(sizes.target, sizes.width)
        self.attention, self.carries = Attention(sizes.units), sizes.carries
        self.gru = keras.layers.GRU(sizes.units, return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform")
        self.logits = keras.layers.Dense(sizes.target)

    def call(self, word: Any, state: Any, memory: Any) -> Any:
        """Logits ``(batch, words)`` of the next word, and the new state."""
        context = self.attention(state, memory)
        read = tf.concat([tf.expand_dims(context, 1), self.embedding(word)], axis=-1)
        output, last = self.gru(read, initial_state=state if self.carries else None)
        return self.logits(tf.squeeze(output, 1)), last


def plain_step(sizes: Sizes, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A training step from given weights, by Gatework's names; gives the tutorial's loss, summed over the words."""
    encoder, decoder = Encoder(sizes), Decoder(sizes)
    memory, state = encoder(tf.zeros((1, 1), tf.int32))
    decoder(tf.zeros((1, 1), tf.int32), state, memory)
    _load(encoder, decoder, weights)
    optimizer = keras.optimizers.Adam()
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    optimizer.build(variables)

    @tf.function
    def train(source: Any, target: Any, expected: Any) -> Any:
        loss = 0.0
        with tf.GradientTape() as tape:
            memory, state = encoder(source)
            for t in range(target.shape[1]):
                logits, state = decoder(tf.expand_dims(target[:, t], 1), state, memory)
                losses = keras.losses.sparse_categorical_crossentropy(expected[:, t], logits, from_logits=True)
                loss += tf.reduce_mean(losses * tf.cast(expected[:, t] != 0, losses.dtype))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(batch: Batch) -> float:
        given = (batch.inputs["source"], batch.inputs["target"], batch.targets)
        return float(train(*(tf.constant(one) for one in given)))

    return step


def _load(encoder: Encoder, decoder: Decoder, weights: Mapping[str, Any]) -> None:
    attention = decoder.attention
    layers = {
        "source_embedding": encoder.embedding,
        "encoder": encoder.gru,
        "target_embedding": decoder.embedding,
        "decoder/attention/query": attention.query,
        "decoder/attention/memory": attention.memory,
        "decoder/attention/score": attention.score,
        "decoder/cell": decoder.gru,
        "logits": decoder.logits,
    }
    for name, layer in layers.items():
        kinds = [variable.name for variable in layer.weights]
        layer.set_weights([weights[f"{name}/{kind}"] for kind in kinds])
