"""From a plan to a native functional ``keras.Model``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from framework.backends.tensorflow.layers import BuildContext, build_layer, keras_name
from framework.builder.plan import ModelPlan, PlannedLayer, Reference
from framework.errors import UnsupportedArgument

Layers = Mapping[str, keras.layers.Layer]
"""Native layers by the config's names."""


def build_model(plan: ModelPlan, context: BuildContext) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
    """The native model and its layers, with all weights at zero.

    A model with one input takes a bare tensor, one with several a mapping by name; likewise for outputs.

    Args:
        plan: what to build.
        context: precision, seed and cuDNN of the run.

    Raises:
        UnsupportedArgument: Keras cannot honour an argument; the layer is named.
    """
    inputs = {
        name: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=keras_name(name)) for name, tensor in plan.inputs.items()
    }
    tensors: dict[Reference, Any] = {Reference(name): tensor for name, tensor in inputs.items()}
    layers: dict[str, keras.layers.Layer] = {}
    for planned in plan.layers:
        layer = layers[planned.name] = build_layer(planned, context)
        with weights_at_zero(layer):
            tensors.update(call_layer(planned, layer, tensors))
    outputs = {name: tensors[reference] for name, reference in plan.outputs.items()}
    try:
        return keras.Model(_alone(inputs), _alone(outputs), name="gatework"), layers
    except ValueError as error:
        raise UnsupportedArgument(f"Keras refuses the model: {error}") from error


def call_layer(planned: PlannedLayer, layer: keras.layers.Layer, tensors: Mapping[Reference, Any], **call: Any) -> dict[Reference, Any]:
    """Calls one layer on what it reads; its outputs by reference.

    Raises:
        UnsupportedArgument: Keras refuses it; the layer is named.
    """
    given = {field: [tensors[one] for one in references] for field, references in planned.references.items()}
    read = given.pop("inputs")
    further = {field: values[0] if len(values) == 1 else values for field, values in given.items()}
    try:
        result = layer(read if planned.kind in ("add", "concatenate") else read[0], **further, **call)
    except (TypeError, ValueError) as error:
        raise UnsupportedArgument(f"model.layers.{planned.name}: Keras refuses it: {error}") from error
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    return {Reference(planned.name, output): tensor for output, tensor in zip(planned.outputs, results, strict=True)}


def _alone(tensors: Mapping[str, Any]) -> Any:
    return next(iter(tensors.values())) if len(tensors) == 1 else dict(tensors)


@contextmanager
def weights_at_zero(layer: keras.layers.Layer) -> Iterator[None]:
    """Lets a layer be built without drawing its initial weights, which are given; its initializers are as before afterwards.

    Drawing an orthogonal matrix for 1024 units takes seconds.
    """
    owners = list(parts_of(layer))
    kept = [{name: value for name, value in vars(owner).items() if name.endswith("_initializer")} for owner in owners]
    try:
        for owner, initializers in zip(owners, kept, strict=True):
            for name in initializers:
                setattr(owner, name, keras.initializers.Zeros())
        yield
    finally:
        for owner, initializers in zip(owners, kept, strict=True):
            for name, value in initializers.items():
                setattr(owner, name, value)


def parts_of(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layer, its cell or cells, and the layers of both directions."""
    yield layer
    for part in ("cell", "forward_layer", "backward_layer", "decoder_cells"):
        inner = vars(layer).get(part)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, keras.layers.Layer):
                yield from parts_of(one)
