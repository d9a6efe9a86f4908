"""The model of a trained run as MLflow holds it, for MLflow's own server."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.engine.many.sync import sync_alone
from framework.engine.run.folder import find_run
from framework.errors import RunError
from framework.spec.validate import validate_experiment
from framework.tasks.known import task_of
from framework.tracking.address import whole_address
from framework.tracking.note import Note
from framework.tracking.outbox import is_tracked
from framework.tracking.store import model_trouble


@dataclass(frozen=True)
class LoggedModel:
    """A model that was logged in MLflow.

    Attributes:
        address: ``models:/…``.
        store: the tracking store's address, its password included.
        row: one input as JSON has it, to ask with.
    """

    address: str
    store: str
    row: dict[str, Any]


def logged_model(name: str, runs_dir: str = "runs", uri: str | None = None) -> LoggedModel:
    """The model of a run, delivered to MLflow now where it was not yet.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        runs_dir: folder of all runs.
        uri: address of the tracking store, if it is not the one that the run's config names.

    Raises:
        RunError: there is no such run; it is being trained; it has not ended well; or MLflow does not take its model.
        InputError: MLflow is not installed.
    """
    from framework.config.saved import load_resolved

    folder = find_run(name, runs_dir)
    if uri is None and not is_tracked(folder.path):
        raise RunError(f"run {folder.path} was trained with tracking=none; --uri sqlite:///mlflow.db records it, and serves it from there")
    done = sync_alone(folder.path, uri)
    model = Note(folder.path).get("model", {})
    if "id" not in model:
        reason = done.trouble or f"a model is logged when its run has finished, and this one is {folder.status}"
        raise RunError(f"MLflow has no model of run {folder.path}: {reason}")
    experiment = validate_experiment(load_resolved(folder.config / "resolved.yaml"))  # with a prompt from the data, where none was set
    task = task_of(experiment)
    row = {name: value for name, value in task.input_example(experiment).items() if isinstance(value, (str, int, float))}
    texts = [name for name, kind in task.interface(experiment).inputs.items() if kind == "string"]
    return LoggedModel(f"models:/{model['id']}", whole_address(uri or done.uri), row or dict.fromkeys(texts, "…"))


def check_registered(address: str, uri: str | None = None) -> None:
    """Makes sure that MLflow has a model before a server is started for it.

    Args:
        address: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` or ``models:/ID``.
        uri: address of the store; what ``MLFLOW_TRACKING_URI`` says when not given.

    Raises:
        RunError: it has none, or cannot be asked; its own words are told.
    """
    trouble = model_trouble(address, uri)
    if trouble is not None:
        raise RunError(f"MLflow has no model {address}: {trouble}; tracking.register_as=NAME registers one, --uri names another store")


def server_command(model: str, host: str, port: int) -> list[str]:
    """What starts MLflow's server for a model, in this environment."""
    words = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    return [*words, "--host", host, "--port", str(port)]


def server_environment(store: str | None) -> dict[str, str]:
    """Its variables: programs of this environment are found without its being activated, and the store is the model's.

    Args:
        store: the tracking store's address; the environment's own when None.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **({"MLFLOW_TRACKING_URI": store} if store else {})}


def question(row: dict[str, Any]) -> str:
    """The body of a request that asks for one row."""
    return json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
