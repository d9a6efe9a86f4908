"""A model that keeps nothing between calls: what its stateful layers would keep is given and taken instead, and cuDNN is not asked for."""

from __future__ import annotations

from framework.spec.layers.attention import AttentionDecoderSpec
from framework.spec.layers.base import LayerSpec
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec
from framework.spec.model import InputSpec, ModelSpec

_PORTABLE = {"stateful": False, "use_cudnn": False, "unroll": False}


def stateless_model(model: ModelSpec, dtype: str, continued: str) -> ModelSpec:
    """The same model with the same weights, in which each stateful layer's first state is a model input and its last one an output.

    Args:
        model: valid, its sizes filled in.
        dtype: what it computes in.
        continued: begins the names of these outputs; the rest is the input's name, ``<layer>_state``. A layer that reads its first
            state from another layer has neither, as what it keeps never counts.
    """
    inputs = {name: one.model_copy(update={"batch_size": None}) for name, one in model.inputs.items()}
    outputs, layers = model.output_references(), dict[str, LayerSpec]()
    for name, layer in model.layers.items():
        portable = _portable(layer)
        if isinstance(layer, GRUSpec) and isinstance(portable, GRUSpec) and layer.stateful and layer.initial_state is None:
            state = _free(f"{name}_state", {*inputs, *model.layers, *outputs})
            inputs[state] = InputSpec(dtype=layer.dtype or dtype, shape=[layer.units])  # type: ignore[arg-type]
            outputs[f"{continued}{state}"] = f"{name}.state"
            portable = portable.model_copy(update={"return_state": True, "initial_state": state})
        layers[name] = portable
    before = dict(zip(layers, [None, *layers], strict=False))
    # The layer after the only model input may leave out what it reads; there may be more inputs now.
    for name, read in before.items():
        if layers[name].inputs is None and read is None:
            layers[name] = layers[name].model_copy(update={"inputs": next(iter(model.inputs))})
    return model.model_copy(update={"inputs": inputs, "layers": layers, "outputs": outputs})


def _portable(layer: LayerSpec) -> LayerSpec:
    if isinstance(layer, GRUSpec):
        return layer.model_copy(update=_PORTABLE)
    if isinstance(layer, BidirectionalSpec):
        backward = layer.backward_layer
        inner = {"layer": _portable(layer.layer), "backward_layer": None if backward is None else _portable(backward)}
        return layer.model_copy(update=inner)
    if isinstance(layer, AttentionDecoderSpec):
        cell, cells = layer.cell, layer.cells
        return layer.model_copy(
            update={
                "cell": None if cell is None else cell.model_copy(update={"use_cudnn": False}),
                "cells": None if cells is None else [one.model_copy(update={"use_cudnn": False}) for one in cells],
            }
        )
    return layer


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
