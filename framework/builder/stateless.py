"""The model of a run as it is taken elsewhere: on plain operations, and with nothing that layers keep between calls."""

from __future__ import annotations

from collections.abc import Callable

from framework.spec.layers.attention import AttentionDecoderSpec
from framework.spec.layers.base import LayerSpec
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec
from framework.spec.model import InputSpec, ModelSpec


def plain_model(model: ModelSpec) -> ModelSpec:
    """The same model off cuDNN, its loops over time left as loops."""
    return _changed(model, lambda gru: gru.model_copy(update={"use_cudnn": False, "unroll": False}))


def stateless_model(model: ModelSpec) -> ModelSpec:
    """The same model with no stateful layer and batches of any size: it starts from zeros at each call."""
    inputs = {name: one.model_copy(update={"batch_size": None}) for name, one in model.inputs.items()}
    changed = _changed(model, lambda gru: gru.model_copy(update={"stateful": False}))
    return changed.model_copy(update={"inputs": inputs})


def carried_model(model: ModelSpec, dtype: str, continued: str, called: Callable[[str, set[str]], str]) -> ModelSpec:
    """The model without stateful layers whose inputs and outputs have beside them what such layers keep.

    A layer that reads its first state from another layer keeps nothing that counts, and has neither.

    Args:
        model: valid, its sizes filled in.
        dtype: what it computes in.
        continued: begins the names of the last states; the rest is the name of the first one, ``<layer>_state``.
        called: what a state of that name is called outside, where the names in the set are taken; adds what it takes.
    """
    changed = stateless_model(model)
    inputs, outputs, layers = dict(changed.inputs), changed.output_references(), dict(changed.layers)
    # A layer may leave out what it reads where there is one model input; there may be more now.
    first = next(iter(layers))
    if layers[first].inputs is None:
        layers[first] = layers[first].model_copy(update={"inputs": next(iter(inputs))})
    taken = {*inputs, *layers, *outputs}
    for name, layer in model.layers.items():
        if isinstance(layer, GRUSpec) and layer.stateful and layer.initial_state is None:
            state = called(f"{name}_state", taken)
            inputs[state] = InputSpec(dtype=layer.dtype or dtype, shape=[layer.units])  # type: ignore[arg-type]
            outputs[f"{continued}{state}"] = f"{name}.state"
            layers[name] = layers[name].model_copy(update={"return_state": True, "initial_state": state})
    return changed.model_copy(update={"inputs": inputs, "layers": layers, "outputs": outputs})


def _changed(model: ModelSpec, change: Callable[[GRUSpec], GRUSpec]) -> ModelSpec:
    return model.model_copy(update={"layers": {name: _layer(layer, change) for name, layer in model.layers.items()}})


def _layer(layer: LayerSpec, change: Callable[[GRUSpec], GRUSpec]) -> LayerSpec:
    """A layer with every GRU within it changed."""
    if isinstance(layer, GRUSpec):
        return change(layer)
    if isinstance(layer, BidirectionalSpec):
        backward = layer.backward_layer
        return layer.model_copy(update={"layer": change(layer.layer), "backward_layer": None if backward is None else change(backward)})
    if isinstance(layer, AttentionDecoderSpec):
        cells = None if layer.cells is None else [change(one) for one in layer.cells]
        return layer.model_copy(update={"cell": None if layer.cell is None else change(layer.cell), "cells": cells})
    return layer
