"""Rules of the kinds that keep a tensor's shape: dropout, activation, masking, layer_normalization."""

from __future__ import annotations

from dataclasses import replace

from framework.builder.kinds.dense import GLOROT
from framework.builder.plan import PlannedWeight
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, features, plans, show, single_input
from framework.spec.layers.elementwise import ActivationSpec, DropoutSpec, LayerNormalizationSpec, MaskingSpec


@plans(DropoutSpec)
def plan_dropout(spec: DropoutSpec, around: Surroundings) -> Inferred:
    """The shape stays; one product for each value."""
    return _same_shape(around, flops_each=1)


@plans(ActivationSpec)
def plan_activation(spec: ActivationSpec, around: Surroundings) -> Inferred:
    """The shape stays; counted as one operation for each value."""
    return _same_shape(around, flops_each=1)


@plans(MaskingSpec)
def plan_masking(spec: MaskingSpec, around: Surroundings) -> Inferred:
    """``(batch, time, features)`` stays and carries a mask from here on."""
    tensor = single_input(around)
    if len(tensor.shape) != 3:
        raise ShapeProblem("inputs", f"reads {show(tensor.shape)}", expected="(batch, time, features)")
    inferred = _same_shape(around, flops_each=1)
    return replace(inferred, outputs={"output": replace(inferred.outputs["output"], masked=True)})


@plans(LayerNormalizationSpec)
def plan_layer_normalization(spec: LayerNormalizationSpec, around: Surroundings) -> Inferred:
    """The shape stays; ``gamma`` and ``beta`` have the length of the last axis."""
    width = features(single_input(around))
    weights = []
    if spec.scale:
        weights.append(PlannedWeight("gamma", (width,), spec.gamma_initializer or GLOROT, spec.gamma_regularizer, spec.gamma_constraint))
    if spec.center:
        weights.append(PlannedWeight("beta", (width,), spec.beta_initializer or GLOROT, spec.beta_regularizer, spec.beta_constraint))
    return replace(_same_shape(around, flops_each=8), weights=weights)


def _same_shape(around: Surroundings, flops_each: int) -> Inferred:
    tensor = single_input(around)
    width = features(tensor)
    return Inferred({"output": replace(tensor, dtype=around.dtype)}, flops=flops_each * width, activations=width)
