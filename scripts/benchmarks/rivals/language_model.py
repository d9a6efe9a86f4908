"""The language model of TensorFlow's tutorial by hand: an embedding, a GRU and logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.gru import products as gru_products
from benchmarks.product import Product, trained
from framework.data.batches import Batch
from framework.weights.gru_layout import keras_to_torch


def torch_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A loop over ``nn.GRU``."""
    import torch
    from torch import nn

    tokens, width, units, stateful = _sizes(prepared)
    embedding, gru, logits = nn.Embedding(tokens, width), nn.GRU(width, units, batch_first=True), nn.Linear(units, tokens)
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(weights["embedding/embeddings"]))
        names = ("kernel", "recurrent_kernel", "bias")
        state = keras_to_torch({name: weights[f"gru/{name}"] for name in names})
        gru.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        logits.weight.copy_(torch.from_numpy(weights["logits/kernel"].T))
        logits.bias.copy_(torch.from_numpy(weights["logits/bias"]))
    optimizer = torch.optim.Adam([*embedding.parameters(), *gru.parameters(), *logits.parameters()], lr=1e-3, eps=1e-7)
    kept: list[Any] = [None]

    def step(batch: Batch) -> float:
        [inputs] = (torch.from_numpy(one).long() for one in batch.inputs.values())
        targets = torch.from_numpy(batch.targets).long()
        optimizer.zero_grad()
        states, last = gru(embedding(inputs), kept[0])
        loss = nn.functional.cross_entropy(logits(states).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        if stateful:
            kept[0] = last.detach()
        return loss.item()

    return step


def tensorflow_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """``train_on_batch`` of Keras."""
    import keras

    tokens, width, units, stateful = _sizes(prepared)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(prepared.experiment.data.batch_size, prepared.experiment.data.sequence_length)),
            keras.layers.Embedding(tokens, width),
            keras.layers.GRU(units, return_sequences=True, stateful=stateful),
            keras.layers.Dense(tokens),
        ]
    )
    names = ("embedding/embeddings", "gru/kernel", "gru/recurrent_kernel", "gru/bias", "logits/kernel", "logits/bias")
    model.set_weights([weights[name] for name in names])
    model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(batch: Batch) -> float:
        [inputs] = batch.inputs.values()
        return float(model.train_on_batch(inputs, batch.targets))

    return step


def products(prepared: Any, batch: Batch) -> list[Product]:
    """The products of a training step; the embedding's gradient is none."""
    tokens, width, units, _ = _sizes(prepared)
    rows, time = batch.targets.shape
    return [*gru_products((rows, time, width, units), "training"), *trained(Product(rows * time, units, tokens))]


def _sizes(prepared: Any) -> tuple[int, int, int, bool]:
    """Tokens, width of the embedding, units and whether the state is kept."""
    embedding, gru, _ = prepared.experiment.model.layers.values()
    return int(embedding.input_dim), int(embedding.output_dim), int(gru.units), bool(gru.stateful)
