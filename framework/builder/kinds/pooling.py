"""Rules of kinds that make one place of several."""

from __future__ import annotations

from framework.builder.kinds.attention import sequence_of
from framework.builder.plan import PlannedTensor
from framework.builder.rule import Inferred, Surroundings, features, plans, single_input
from framework.spec.layers.pooling import GlobalAveragePooling1DSpec


@plans(GlobalAveragePooling1DSpec)
def plan_global_average_pooling1d(spec: GlobalAveragePooling1DSpec, around: Surroundings) -> Inferred:
    """The axis of places goes; one operation for each value of a place."""
    tensor = sequence_of(single_input(around))
    width = features(tensor)
    output = PlannedTensor((tensor.shape[0], width), around.dtype)
    return Inferred({"output": output}, step=False, flops=width, activations=width)
