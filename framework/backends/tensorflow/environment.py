"""What must hold before TensorFlow and Keras are imported, and their import."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from framework.errors import BackendUnavailable

CHATTER = (b"before absl::InitializeLog()", b"cudart_stub.cc", b"cuda_platform.cc", b"cpu_feature_guard.cc", b"oneDNN custom operations")
"""What TensorFlow writes while it is imported on a machine without a GPU, whatever its log level."""

_REMEDY = "set KERAS_BACKEND=tensorflow, or unset it"


def prepare() -> None:
    """Imports TensorFlow and Keras; Keras on TensorFlow, and both quiet unless the user wants to hear them.

    ``KERAS_BACKEND`` wins over the user's ``keras.json``, so it is set where it is not; nothing that the user set is changed.

    Raises:
        BackendUnavailable: the environment asks for Keras on another library, or Keras already runs on one.
        ImportError: TensorFlow or Keras is not there.

    Source: Keras documentation, "Configuring your backend"; TensorFlow's log level ``TF_CPP_MIN_LOG_LEVEL``: 0 all, 1 without
    information, 2 without warnings, 3 nothing.
    """
    wanted = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if wanted != "tensorflow":
        raise BackendUnavailable(f"backend=tensorflow needs Keras on TensorFlow, but KERAS_BACKEND={wanted} is set; {_REMEDY}")
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        _check_running()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with hushed(CHATTER):
        tensorflow = import_module("tensorflow")
        import_module("keras")
        tensorflow.config.list_physical_devices("GPU")
    _check_running()


def _check_running() -> None:
    running = import_module("keras").config.backend()
    if running != "tensorflow":
        raise BackendUnavailable(f"Keras was imported on {running} before; {_REMEDY}, and start a new process")


@contextmanager
def hushed(chatter: Sequence[bytes]) -> Iterator[None]:
    """Takes lines out of what is written to the standard error within, unless the user wants to hear all; the rest is passed on afterwards.

    Args:
        chatter: what such a line has in it, one of these; empty bytes are in each.
    """
    quiet = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("2", "3")
    if not quiet or sys.stderr is None:  # a program may have been started without
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as heard:
        before = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            heard.seek(0)
            for line in heard:
                if not any(one in line for one in chatter):
                    os.write(2, line)
