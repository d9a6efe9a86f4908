"""What must hold before TensorFlow and Keras are imported."""

from __future__ import annotations

import os
import sys

from framework.errors import BackendUnavailable

_REMEDY = "set KERAS_BACKEND=tensorflow, or unset it"


def prepare() -> None:
    """Makes Keras run on TensorFlow, and TensorFlow quiet unless the user wants to hear it.

    ``KERAS_BACKEND`` wins over the user's ``keras.json``, so it is set where it is not; nothing that the user set is changed.

    Raises:
        BackendUnavailable: the environment asks for Keras on another library, or Keras already runs on one.

    Source: Keras documentation, "Configuring your backend"; TensorFlow's log level ``TF_CPP_MIN_LOG_LEVEL``: 0 all, 1 without
    information, 2 without warnings, 3 nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    wanted = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if wanted != "tensorflow":
        raise BackendUnavailable(f"backend=tensorflow needs Keras on TensorFlow, but KERAS_BACKEND={wanted} is set; {_REMEDY}")
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config") and keras.config.backend() != "tensorflow":
        running = keras.config.backend()
        raise BackendUnavailable(f"Keras was imported on {running} before; {_REMEDY}, and start a new process")
