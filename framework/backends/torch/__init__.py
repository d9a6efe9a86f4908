"""The PyTorch backend: the only part that imports torch and pytorch_lightning. What it exposes is imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backends.torch.backend import TorchBackend
    from framework.backends.torch.gru.layer import GRU

_WHERE = {"GRU": "framework.backends.torch.gru.layer", "TorchBackend": "framework.backends.torch.backend"}

__all__ = ["GRU", "TorchBackend"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
