"""The captioner of TensorFlow's tutorial by hand: a dense layer over the places of a photo, and a decoder that attends to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.product import Product
from benchmarks.rivals.attending import DecoderSizes, activation, decoder_products, decoder_sizes, require
from framework.data.batches import Batch


@dataclass(frozen=True)
class Sizes:
    """Of the model: numbers that are seen of each place, and its decoder."""

    features: int
    decoder: DecoderSizes


def torch_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A loop over the caption's words, as one writes the tutorial's in PyTorch."""
    from benchmarks.rivals.captioning_torch import plain_step

    return plain_step(_sizes(prepared), weights)


def tensorflow_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """The tutorial's ``tf.function``, which unrolls the caption's words."""
    from benchmarks.rivals.captioning_tensorflow import plain_step

    return plain_step(_sizes(prepared), weights)


def products(prepared: Any, batch: Batch) -> list[Product]:
    """The products of a training step; a photo's own gradient is none."""
    sizes = _sizes(prepared)
    rows, places, features = batch.inputs["image"].shape
    seen, memory = rows * places, sizes.decoder.memory
    encoder = [Product(seen, features, memory), Product(features, seen, memory)]
    return [*encoder, *decoder_products(sizes.decoder, batch, places)]


def _sizes(prepared: Any) -> Sizes:
    encoder, target, decoder, *dense = prepared.experiment.model.layers.values()
    require({"a first layer with activation: relu": activation(encoder) == "relu"})
    return Sizes(int(prepared.data.sizes["features"]), decoder_sizes(target, decoder, dense, int(encoder.units)))
