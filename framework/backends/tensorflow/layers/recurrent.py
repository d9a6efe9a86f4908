"""GRU and bidirectional."""

from __future__ import annotations

from typing import Any, cast

import keras

from framework.backends.tensorflow.gru import GRU
from framework.backends.tensorflow.identifiers import activation, constraint, initializer, regularizer
from framework.backends.tensorflow.layers.registry import BuildContext, builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec

_AS_THEY_ARE = (
    "use_bias", "dropout", "recurrent_dropout", "implementation", "return_sequences", "return_state", "go_backwards", "stateful", "unroll",
    "time_major", "reset_after", "zero_output_for_mask",
)  # fmt: skip


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
    return GRU(
        units=cast(int, spec.units),
        activation=activation(spec.activation),
        recurrent_activation=activation(spec.recurrent_activation),
        kernel_initializer=initializer(spec.kernel_initializer),
        recurrent_initializer=initializer(spec.recurrent_initializer),
        bias_initializer=initializer(spec.bias_initializer),
        kernel_regularizer=regularizer(spec.kernel_regularizer),
        recurrent_regularizer=regularizer(spec.recurrent_regularizer),
        bias_regularizer=regularizer(spec.bias_regularizer),
        activity_regularizer=regularizer(spec.activity_regularizer),
        kernel_constraint=constraint(spec.kernel_constraint),
        recurrent_constraint=constraint(spec.recurrent_constraint),
        bias_constraint=constraint(spec.bias_constraint),
        seed=context.seed_of(name, spec.seed),
        use_cudnn=context.cudnn(spec),
        **{field: getattr(spec, field) for field in _AS_THEY_ARE},
        **shared,
    )
