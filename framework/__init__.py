"""Gatework: gated recurrent sequence models from YAML, as native Keras and native PyTorch Lightning models.

>>> import framework
>>> experiment = framework.load("text_generation", overrides=["data=python_source", "debug=small"])
>>> run = framework.train(experiment)  # doctest: +SKIP
>>> framework.open_run("last").generate("def ", length=200)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.engine.api import build, import_model, load, train
    from framework.engine.model.run import Run, open_run

_PLACES = {
    "load": "framework.engine.api",
    "build": "framework.engine.api",
    "train": "framework.engine.api",
    "import_model": "framework.engine.api",
    "open_run": "framework.engine.model.run",
    "Run": "framework.engine.model.run",
}

__all__ = ["Run", "build", "import_model", "load", "open_run", "train"]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: ``import framework`` alone stays light."""
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(_PLACES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("gatework")
    raise AttributeError(f"module 'framework' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The public names beside what is imported already."""
    return sorted({*globals(), *__all__, "__version__"})
