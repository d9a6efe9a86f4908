"""The TensorFlow backend: native Keras 3 layers and models. Importing this package imports no TensorFlow; using a name of it does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backends.tensorflow.gru import GRU

_HOMES = {
    "GRU": "framework.backends.tensorflow.gru",
    "TensorFlowBackend": "framework.backends.tensorflow.backend",
}

__all__ = ["GRU"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("framework.backends.tensorflow.environment").prepare()
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
