"""GRU and bidirectional."""

from __future__ import annotations

from typing import Any, cast

import keras

from framework.backends.base.gru_arguments import keywords_of
from framework.backends.tensorflow.gru import GRU
from framework.backends.tensorflow.layers.registry import BuildContext, builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec


@builds("gru")
def build_gru(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, time, features)`` to ``(batch, units)`` or ``(batch, time, units)``, and the state with ``return_state``."""
    return _gru(cast(GRUSpec, planned.spec), planned.name, context, context.shared(planned))


@builds("bidirectional")
def build_bidirectional(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Two GRUs over the same sequence, one of them backwards."""
    spec = cast(BidirectionalSpec, planned.spec)
    shared = context.shared(planned)
    backward = spec.backward_layer or spec.layer.model_copy(update={"go_backwards": not spec.layer.go_backwards, "seed": None})
    return keras.layers.Bidirectional(
        _gru(spec.layer, f"{planned.name}/forward", context, _inner(shared, spec.layer, "forward")),
        backward_layer=_gru(backward, f"{planned.name}/backward", context, _inner(shared, backward, "backward")),
        merge_mode=spec.merge_mode,
        **shared,
    )


def _inner(shared: dict[str, Any], spec: GRUSpec, direction: str) -> dict[str, Any]:
    return {
        "name": spec.name or f"{direction}_gru",
        "dtype": spec.dtype or shared["dtype"],
        "trainable": spec.trainable and shared["trainable"],
    }


def _gru(spec: GRUSpec, name: str, context: BuildContext, shared: dict[str, Any]) -> GRU:
    return GRU(**keywords_of(spec, **{**shared, "seed": context.seed_of(name, spec.seed), "use_cudnn": context.cudnn(spec)}))
