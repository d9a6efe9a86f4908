"""Whether MLflow is there, without importing it."""

from __future__ import annotations

import importlib.util


def mlflow_is_installed() -> bool:
    """Whether ``import mlflow`` would find something."""
    return importlib.util.find_spec("mlflow") is not None
