"""Backends by name, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module

from framework.backends.base.backend import Backend
from framework.errors import BackendUnavailable, nearest

BACKENDS: dict[str, tuple[str, str]] = {
    "torch": ("framework.backends.torch.backend", "TorchBackend"),
    "tensorflow": ("framework.backends.tensorflow.backend", "TensorFlowBackend"),
}
"""Module and class of each backend."""


def load_backend(name: str) -> Backend:
    """The backend of that name; its libraries are imported now.

    Raises:
        BackendUnavailable: there is none of that name, or its libraries are not installed; says how to get them.
    """
    if name not in BACKENDS:
        close = nearest(name, BACKENDS)
        suggestion = f"; did you mean '{close}'?" if close else ""
        raise BackendUnavailable(f"there is no backend '{name}', only {' and '.join(BACKENDS)}{suggestion}")
    module, class_name = BACKENDS[name]
    try:
        backend: Backend = getattr(import_module(module), class_name)()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "framework":
            raise
        raise BackendUnavailable(
            f"backend '{name}' needs the library '{error.name}', which is not installed: pip install 'gatework[{name}]'"
        ) from error
    return backend
