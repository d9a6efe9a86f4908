"""A recurrent layer run forwards and backwards over the same sequence."""

from __future__ import annotations

from typing import Literal

from framework.spec.layers.base import LayerSpec, layer_kind
from framework.spec.layers.gru import GRUSpec


@layer_kind("bidirectional")
class BidirectionalSpec(LayerSpec):
    """Runs ``layer`` forwards and a copy of it backwards, and merges the two outputs.

    Reads ``(batch, time, features)``; gives ``(batch, units)`` or ``(batch, time, units)``, twice the units with ``concat``.

    Source: Keras documentation, "Bidirectional layer".
    """

    kind: Literal["bidirectional"] = "bidirectional"

    layer: GRUSpec
    """The recurrent layer that runs forwards."""

    backward_layer: GRUSpec | None = None
    """The layer that runs backwards; a copy of ``layer`` with its own weights when not given."""

    merge_mode: Literal["concat", "sum", "mul", "ave"] = "concat"
    """How the outputs of the two directions are joined."""
