"""Anybody's Keras model, in memory or in a file, run as Keras itself runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from framework.errors import InputError


def outputs_of(model: keras.Model, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    """What a Keras model makes of a batch, in inference mode.

    Args:
        model: anybody's.
        inputs: by name; the model's own names count where they are these, else the order.

    Returns:
        One array for each of its outputs.

    Raises:
        ValueError: it has another number of inputs.
    """
    names = [tensor.name.partition(":")[0] for tensor in model.inputs]
    given = [inputs[name] for name in names] if set(names) == set(inputs) else list(inputs.values())
    if len(given) != len(names):
        raise ValueError(f"it has the inputs {', '.join(names)}, the recipe's model {', '.join(inputs)}")
    outputs = model(keras.tree.pack_sequence_as(model.input, given) if len(given) > 1 else given[0], training=False)
    if isinstance(outputs, dict):
        outputs = [outputs[name] for name in model.output]  # in the model's order, which flattening does not keep
    return [np.asarray(one) for one in keras.tree.flatten(outputs)]


def outputs_of_file(path: Path, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    """What the model in a ``.keras`` or ``.h5`` file makes of a batch, in inference mode.

    Args:
        path: the file. Code in it is not run: Keras refuses functions that were saved with a model (its ``safe_mode``).
        inputs: by name; the model's own names count where they are these, else the order.

    Returns:
        One array for each of its outputs.

    Raises:
        InputError: the file's model cannot be run here, such as one with layers of somebody else; the reason is told.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return outputs_of(model, inputs)
    except Exception as error:  # whatever a stranger's layers or an older file raise says that it cannot be run here
        reason = str(error).strip().splitlines()
        raise InputError(f"{path} cannot be run here: {reason[0] if reason else type(error).__name__}") from error
