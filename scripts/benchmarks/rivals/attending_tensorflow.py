"""The tutorials' decoder as it is written there: Keras models, and a ``tf.function`` that unrolls the target's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from benchmarks.rivals.attending import DecoderSizes
from framework.data.batches import Batch


class Attention(keras.layers.Layer):
    """Bahdanau's: the context ``(batch, memory)`` of a query ``(batch, units)``."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.query, self.memory, self.score = keras.layers.Dense(units), keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, query: Any, memory: Any) -> Any:
        """See the class."""
        score = self.score(tf.nn.tanh(self.query(tf.expand_dims(query, 1)) + self.memory(memory)))
        return tf.reduce_sum(tf.nn.softmax(score, axis=1) * memory, axis=1)


class Decoder(keras.Model):
    """One word of the target."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.embedding = keras.layers.Embedding(sizes.words, sizes.width)
        self.attention, self.carries = Attention(sizes.attention), sizes.carries
        self.gru = keras.layers.GRU(sizes.units, return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform")
        self.dense = [keras.layers.Dense(units) for units in sizes.dense]

    def call(self, word: Any, state: Any, memory: Any) -> Any:
        """Logits ``(batch, words)`` of the next word, and the new state."""
        context = self.attention(state, memory)
        read = tf.concat([tf.expand_dims(context, 1), self.embedding(word)], axis=-1)
        output, last = self.gru(read, initial_state=state if self.carries else None)
        output = tf.squeeze(output, 1)
        for layer in self.dense:
            output = layer(output)
        return output, last

    def layers_by_name(self, dense: tuple[str, ...]) -> dict[str, Any]:
        """Its layers by Gatework's names; those after the cell are called ``dense``."""
        named = {f"decoder/attention/{part}": getattr(self.attention, part) for part in ("query", "memory", "score")}
        return {"target_embedding": self.embedding, **named, "decoder/cell": self.gru, **dict(zip(dense, self.dense, strict=True))}


def step_of(encoder: Any, decoder: Decoder, read: str) -> Callable[[Batch], float]:
    """A training step; gives the tutorials' loss, summed over the words.

    Args:
        encoder: from what is read to the memory and the first state; built.
        decoder: of the target; built.
        read: name of what is read.
    """
    optimizer = keras.optimizers.Adam()
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    optimizer.build(variables)

    @tf.function
    def train(given: Any, target: Any, expected: Any) -> Any:
        loss = 0.0
        with tf.GradientTape() as tape:
            memory, state = encoder(given)
            for t in range(target.shape[1]):
                logits, state = decoder(tf.expand_dims(target[:, t], 1), state, memory)
                losses = keras.losses.sparse_categorical_crossentropy(expected[:, t], logits, from_logits=True)
                loss += tf.reduce_mean(losses * tf.cast(expected[:, t] != 0, losses.dtype))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def step(batch: Batch) -> float:
        given = (batch.inputs[read], batch.inputs["target"], batch.targets)
        return float(train(*(tf.constant(one) for one in given)))

    return step


def load(layers: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Sets the weights of built layers.

    Args:
        layers: by Gatework's names.
        weights: by Gatework's names.
    """
    for name, layer in layers.items():
        kinds = [variable.name for variable in layer.weights]
        layer.set_weights([weights[f"{name}/{kind}"] for kind in kinds])
