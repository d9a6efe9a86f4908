"""A GRU's weights: their shapes, as arrays in Keras' layout, and in the data type of a computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from framework.backends.torch.activations import Activation
from framework.backends.torch.arrays import as_array
from framework.backends.torch.gru.loop import Cell, Weights
from framework.backends.torch.gru.settings import PREFIXES, GRUSettings
from framework.backends.torch.weights import read_weight, write_weights
from framework.errors import InputError


def weight_shapes(layer: GRUSettings, features: int) -> dict[str, tuple[int, ...]]:
    """By name, in Keras' order."""
    units = layer.units
    shapes: dict[str, tuple[int, ...]] = {"kernel": (features, 3 * units), "recurrent_kernel": (units, 3 * units)}
    if layer.use_bias:
        shapes["bias"] = (2, 3 * units) if layer.reset_after else (3 * units,)
    return shapes


def create_weights(layer: GRUSettings, features: int, dtype: torch.dtype, device: torch.device | str | None) -> None:
    """Draws the weights and makes them parameters, also where a layer is only looked at, in inference mode."""
    with torch.inference_mode(False):
        for name, shape in weight_shapes(layer, features).items():
            value = function_of(layer, name, "initializer")(shape, dtype=dtype).to(device or torch.get_default_device())
            # An orthogonal matrix comes out turned, and autograd would copy each of its gradients into that order.
            layer.register_parameter(name, nn.Parameter(value.contiguous(), layer.trainable))


def function_of(layer: GRUSettings, weight: str, kind: str) -> Any:
    """A weight's initializer, regularizer or constraint."""
    return getattr(layer, f"{PREFIXES[weight]}_{kind}")


def weights_of(layer: GRUSettings) -> dict[str, Tensor]:
    """The weights that there are, by name; where one is computed from others, its value of now."""
    return {name: read_weight(layer, name) for name in PREFIXES if getattr(layer, name) is not None}


def arrays_of(layer: GRUSettings) -> list[NDArray[np.generic]]:
    """Copies of the weights in Keras' order; bfloat16 as float32."""
    return [as_array(weight) for weight in weights_of(layer).values()]


def write_arrays(layer: GRUSettings, arrays: Sequence[Any]) -> None:
    """Sets the weights from arrays or tensors in Keras' order; all, or in an error none.

    Raises:
        InputError: they are not the layer's, or a weight is computed in a way that cannot give the value.
    """
    own = weights_of(layer)
    if not own:
        raise InputError(f"{layer.label} has no weights yet: call it, or build(input_shape), before set_weights")
    if len(own) != len(arrays):
        raise InputError(f"{layer.label} has {len(own)} weights ({', '.join(own)}), but {len(arrays)} were given")
    values = [torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value) for value in arrays]
    for (name, weight), value in zip(own.items(), values, strict=True):
        if weight.shape != value.shape:
            raise InputError(f"{layer.label}: {name} has the shape {tuple(weight.shape)}, but {tuple(value.shape)} was given")
    write_weights(layer.label, (((layer, name), value) for name, value in zip(own, values, strict=True)))


def project_weights(layer: GRUSettings) -> None:
    """Puts the constrained weights into what their constraints make of them.

    Raises:
        InputError: a weight is computed in a way that cannot give its projection.
    """
    with torch.no_grad():
        projections = [(name, function_of(layer, name, "constraint"), weight) for name, weight in weights_of(layer).items()]
        values = [((layer, name), project(weight)) for name, project, weight in projections if project is not None]
    write_weights(layer.label, values)


def in_type(layer: GRUSettings, dtype: torch.dtype) -> tuple[Weights, Cell]:
    """The weights, and what a step does beside them, in the data type of a computation."""
    assert layer.kernel is not None and layer.recurrent_kernel is not None
    weights = Weights(layer.kernel.to(dtype), layer.recurrent_kernel.to(dtype), None if layer.bias is None else layer.bias.to(dtype))
    cell = layer.cell
    activation, recurrent = (_in_type(one, dtype) for one in (cell.activation, cell.recurrent_activation))
    if activation is cell.activation and recurrent is cell.recurrent_activation:
        return weights, cell
    return weights, replace(cell, activation=activation, recurrent_activation=recurrent)


def _in_type(function: Activation, dtype: torch.dtype) -> Activation:
    """An activation whose own parameters are in the data type of the computation."""
    if not isinstance(function, nn.Module):
        return function
    parameters = {name: one.to(dtype) if one.is_floating_point() else one for name, one in function.named_parameters()}
    if all(parameters[name] is one for name, one in function.named_parameters()):
        return function
    return lambda x: functional_call(function, parameters, (x,))
