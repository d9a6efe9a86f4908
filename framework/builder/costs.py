"""What a model costs: operations and memory of a training step."""

from __future__ import annotations

from dataclasses import dataclass

from framework.builder.plan import ModelPlan, PlannedLayer, PlannedTensor

TRAINING_FACTOR = 3
"""A training step is a forward pass and a backward pass of about twice its operations."""

_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer in a training step.

    Attributes:
        flops: floating-point operations, forward and backward.
        activation_bytes: values kept from the forward pass for the backward pass, in bytes.
    """

    flops: int
    activation_bytes: int


def positions(tensor: PlannedTensor, batch_size: int, time: int) -> int:
    """How many vectors (or tokens) a tensor holds: every axis but the last one of floating-point tensors."""
    axes = tensor.shape if tensor.dtype.startswith("int") else tensor.shape[:-1]
    count = 1
    for axis, length in enumerate(axes):
        count *= length if length is not None else batch_size if axis == 0 else time
    return count


def layer_cost(layer: PlannedLayer, batch_size: int, time: int) -> LayerCost:
    """Cost of one layer.

    Args:
        layer: the planned layer.
        batch_size: rows of a batch.
        time: steps of a sequence where the model leaves that open.
    """
    count = positions(layer.inputs[0], batch_size, time)
    width = _BYTES.get(layer.outputs["output"].dtype, 4)
    flops, kept = layer.flops * count, layer.activations * count
    if layer.places is not None:
        places = positions(layer.places.memory, batch_size, time)
        steps = count // batch_size
        flops += places * (layer.places.flops + steps * layer.places.step_flops)
        kept += places * (layer.places.activations + steps * layer.places.step_activations)
    return LayerCost(TRAINING_FACTOR * flops, kept * width)


def model_cost(plan: ModelPlan, batch_size: int, time: int) -> LayerCost:
    """Sum over all layers."""
    costs = [layer_cost(layer, batch_size, time) for layer in plan.layers]
    return LayerCost(sum(cost.flops for cost in costs), sum(cost.activation_bytes for cost in costs))
