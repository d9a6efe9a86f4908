"""Text written token by token by the frameworks' own layers, as TensorFlow's tutorial writes: one call of the model a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

TEMPERATURE = 0.8


def torch_writer(weights: Mapping[str, Any], rows: int, length: int) -> Callable[[], object]:
    """Calls of ``nn.Embedding``, ``nn.GRU`` and ``nn.Linear``, and ``torch.multinomial``."""
    import torch
    from torch import nn

    (tokens, width), units = weights["embedding/embeddings"].shape, weights["gru/recurrent_kernel"].shape[0]
    embedding, gru, logits = nn.Embedding(tokens, width), nn.GRU(width, units, batch_first=True), nn.Linear(units, tokens)

    def write() -> object:
        with torch.inference_mode():
            token, state, written = torch.zeros(rows, 1, dtype=torch.int64), None, []
            for _ in range(length):
                outputs, state = gru(embedding(token), state)
                token = torch.multinomial((logits(outputs[:, -1]) / TEMPERATURE).softmax(-1), 1)
                written.append(token)
            return torch.cat(written, 1).numpy()

    return write


def tensorflow_writer(weights: Mapping[str, Any], rows: int, length: int, compiled: bool) -> Callable[[], object]:
    """Calls of a stateful Keras model and ``tf.random.categorical``; in one ``tf.function`` if ``compiled``, as the tutorial has none."""
    import keras
    import tensorflow as tf

    (tokens, width), units = weights["embedding/embeddings"].shape, weights["gru/recurrent_kernel"].shape[0]
    layers = [keras.layers.Embedding(tokens, width), keras.layers.GRU(units, stateful=True), keras.layers.Dense(tokens)]
    model = keras.Sequential([keras.Input(batch_shape=(rows, 1)), *layers])

    def called(token: Any) -> Any:
        return tf.random.categorical(model(token) / TEMPERATURE, num_samples=1)

    step = tf.function(called, jit_compile=False) if compiled else called

    def write() -> object:
        token, written = tf.zeros((rows, 1), tf.int64), []
        for _ in range(length):
            token = step(token)
            written.append(token)
        return tf.concat(written, 1).numpy()

    return write
