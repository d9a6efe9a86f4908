"""A model in a file of Keras, run as Keras itself runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from framework.backends.tensorflow.plain_keras import outputs_of
from framework.errors import InputError


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
