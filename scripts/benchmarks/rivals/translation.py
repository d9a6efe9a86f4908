"""The translator of TensorFlow's tutorial by hand, whose decoder attends before each of its steps and starts them from zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.gru import products as gru_products
from benchmarks.product import Product
from benchmarks.rivals.attending import DecoderSizes, decoder_products, decoder_sizes
from framework.data.batches import Batch


@dataclass(frozen=True)
class Sizes:
    """Of the model: words of the source, width of their embedding, units of the encoder, and its decoder."""

    source: int
    width: int
    units: int
    decoder: DecoderSizes


def torch_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """A loop over the target's words, as one writes the tutorial's in PyTorch."""
    from benchmarks.rivals.translation_torch import plain_step

    return plain_step(_sizes(prepared), weights)


def tensorflow_step(prepared: Any, weights: Mapping[str, Any]) -> Callable[[Batch], float]:
    """The tutorial's ``tf.function``, which unrolls the target's words."""
    from benchmarks.rivals.translation_tensorflow import plain_step

    return plain_step(_sizes(prepared), weights)


def products(prepared: Any, batch: Batch) -> list[Product]:
    """The products of a training step."""
    sizes = _sizes(prepared)
    rows, places = batch.inputs["source"].shape
    return [*gru_products((rows, places, sizes.width, sizes.units), "training"), *decoder_products(sizes.decoder, batch, places)]


def _sizes(prepared: Any) -> Sizes:
    source, encoder, target, decoder, logits = prepared.experiment.model.layers.values()
    units = int(encoder.units)
    return Sizes(int(source.input_dim), int(source.output_dim), units, decoder_sizes(target, decoder, [logits], units))
