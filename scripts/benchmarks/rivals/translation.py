"""The translator of TensorFlow's tutorial by hand, whose decoder attends before each of its steps and starts them from zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.gru import products as gru_products
from benchmarks.product import Product, trained
from framework.data.batches import Batch


@dataclass(frozen=True)
class Sizes:
    """Of the model: words of both languages, width of the embeddings, units of the encoder, the attention and the decoder."""

    source: int
    target: int
    width: int
    units: int
    carries: bool


def torch_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A loop over the target's words, as one writes the tutorial's in PyTorch."""
    from benchmarks.rivals.translation_torch import plain_step

    return plain_step(_sizes(prepared), weights)


def tensorflow_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """The tutorial's ``tf.function``, which unrolls the target's words."""
    from benchmarks.rivals.translation_tensorflow import plain_step

    return plain_step(_sizes(prepared), weights)


def products(prepared: Any, batch: Batch) -> list[Product]:
    """The products of a training step: keys and logits once, what depends on the step before it once a step.

    Logits are those of the targets that count, for the loss needs no others. The attention's own sums are left out: a product of a
    vector for each place.
    """
    sizes = _sizes(prepared)
    rows, time = batch.targets.shape
    counted = rows * time if batch.weights is None else int((batch.weights != 0).sum())
    places, units = batch.inputs["source"].shape[1], sizes.units
    decoder = [
        Product(rows * places, units, units),
        Product(rows * time, sizes.width, 3 * units),
        Product(rows, units, (4 if sizes.carries else 1) * units, times=time),
        Product(rows, units, 3 * units, times=time),
        Product(counted, units, sizes.target),
    ]
    found = gru_products((rows, places, sizes.width, units), "training")
    return [*found, *(one for product in decoder for one in trained(product))]


def _sizes(prepared: Any) -> Sizes:
    source, encoder, target, decoder, _ = prepared.experiment.model.layers.values()
    return Sizes(int(source.input_dim), int(target.input_dim), int(source.output_dim), int(encoder.units), bool(decoder.carry_state))
