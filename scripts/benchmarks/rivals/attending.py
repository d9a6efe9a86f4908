"""What the tutorials' decoders have in common: an additive attention before each step of one cell, over the places of a memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.product import Product, trained
from framework.data.batches import Batch
from framework.errors import InputError


@dataclass(frozen=True)
class DecoderSizes:
    """Of a decoder by hand.

    Attributes:
        words: of its vocabulary.
        width: of its embedding.
        memory: numbers of each place that is attended to.
        units: of its cell.
        attention: units of the attention.
        dense: units of each layer after the cell; the last ones are the words.
        carries: whether the cell starts a step from its state; else from zeros, and the state is the attention's query alone.
    """

    words: int
    width: int
    memory: int
    units: int
    attention: int
    dense: tuple[int, ...]
    carries: bool


def decoder_sizes(embedding: Any, decoder: Any, dense: Sequence[Any], memory: int) -> DecoderSizes:
    """The sizes of a model's decoder.

    Args:
        embedding: settings of the layer before it.
        decoder: its settings.
        dense: settings of the layers after it, which have no activation.
        memory: numbers of each place.

    Raises:
        InputError: it is none of the tutorials'.
    """
    cell, units = decoder.cell, tuple(int(one.units) for one in dense)
    wanted = {
        "one cell": cell is not None,
        "attend: before_cell": decoder.attend == "before_cell",
        "an additive attention with biases": decoder.attention.kind == "additive" and decoder.attention.use_bias,
        "no activation after it": all(activation(one) == "linear" for one in dense),
    }
    require(wanted)
    attention = int(decoder.attention.units or cell.units)
    return DecoderSizes(
        int(embedding.input_dim), int(embedding.output_dim), memory, int(cell.units), attention, units, bool(decoder.carry_state)
    )


def activation(dense: Any) -> str:
    """Name of a dense layer's activation."""
    return "linear" if dense.activation is None else str(dense.activation.class_name)


def require(wanted: Mapping[str, bool]) -> None:
    """Checks that a model is the one that was written by hand.

    Args:
        wanted: whether it has something, by that something's name.

    Raises:
        InputError: it has not.
    """
    missing = [name for name, there in wanted.items() if not there]
    if missing:
        raise InputError(f"the plain loop is that of the tutorial's model; expected {', '.join(missing)}")


def decoder_products(sizes: DecoderSizes, batch: Batch, places: int) -> list[Product]:
    """The products of a training step: keys and logits once, what depends on the step before it once a step.

    What follows the cell is that of the targets that count, for the loss needs no others. The attention's own sums are left out: a
    product of a vector for each place.
    """
    rows, time = batch.targets.shape
    counted = rows * time if batch.weights is None else int((batch.weights != 0).sum())
    gates = 3 * sizes.units
    found = [
        Product(rows * places, sizes.memory, sizes.attention),
        Product(rows * time, sizes.width, gates),
        Product(rows, sizes.units, sizes.attention + (gates if sizes.carries else 0), times=time),
        Product(rows, sizes.memory, gates, times=time),
    ]
    widths = (sizes.units, *sizes.dense)
    found += [Product(counted, inner, columns) for inner, columns in zip(widths, sizes.dense, strict=False)]
    return [one for product in found for one in trained(product)]
