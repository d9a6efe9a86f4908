"""Where a run is recorded beside its own folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.spec.base import Spec


class TrackingSpec(Spec):
    """MLflow, or the run folder alone."""

    kind: Literal["mlflow", "none"] = "mlflow"
    """mlflow: record in MLflow as well, where it is installed; none: only in the run folder."""
    uri: str | None = None
    """Address of the tracking store; ``$MLFLOW_TRACKING_URI``, or else ``sqlite:///mlflow.db`` beside ``runs/``, when not given."""
    experiment_name: str | None = None
    """Experiment to record under; the recipe's name when not given."""
    register_as: str | None = None
    """Name to register the trained model under; null: not registered."""
    tags: dict[str, str] = {}
    """Tags of the run."""
    system_metrics: bool = True
    """Record processor and memory use."""
    log_checkpoints: bool = False
    """Also upload the checkpoints."""
    timeout: float = Field(5.0, gt=0.0)
    """Seconds to wait for the server before its records are kept back for later."""
