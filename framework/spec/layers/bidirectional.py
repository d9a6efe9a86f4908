"""A recurrent layer run forwards and backwards over the same sequence."""

from __future__ import annotations

from typing import ClassVar, Literal

from framework.spec.layers.base import LayerSpec, layer_kind
from framework.spec.layers.gru import GRUSpec


@layer_kind("bidirectional")
class BidirectionalSpec(LayerSpec):
    """Runs ``layer`` forwards and a copy of it backwards, and merges the two outputs.

    Reads ``(batch, time, features)``; gives ``(batch, units)`` or ``(batch, time, units)``, twice the units with ``concat``;
    ``name.state`` are the last states of both, joined as the outputs are, with ``return_state``.

    Source: Keras documentation, "Bidirectional layer".
    """

    outputs: ClassVar[tuple[str, ...]] = ("output", "state")

    kind: Literal["bidirectional"] = "bidirectional"

    layer: GRUSpec
    """The recurrent layer that runs forwards."""

    backward_layer: GRUSpec | None = None
    """The layer that runs backwards; a copy of ``layer`` with its own weights when not given."""

    merge_mode: Literal["concat", "sum", "mul", "ave"] = "concat"
    """How the outputs of the two directions are joined, and their states."""

    return_state: bool = False
    """Also give the last states of the two directions, read as ``name.state``."""
