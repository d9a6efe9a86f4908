"""The documented GRU as a layer of a model."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.base.gru_arguments import keywords_of
from framework.backends.tensorflow.gru import GRU
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.gru import GRUSpec


@builds("gru")
def build_gru(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, time, features)`` to ``(batch, units)`` or ``(batch, time, units)``, and the state with ``return_state``."""
    spec = cast(GRUSpec, planned.spec)
    return GRU(**keywords_of(filled(spec, planned.name, context), **context.shared(planned)))


def filled(spec: GRUSpec, name: str, context: BuildContext) -> GRUSpec:
    """With the seed and the choice of cuDNN that the model makes where the config leaves them open."""
    return spec.model_copy(update={"seed": context.seed_of(name, spec.seed), "use_cudnn": context.cudnn(spec)})
