"""The few calls of MLflow that Gatework makes, on one store. The only module that imports ``mlflow``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PARAMETERS_A_CALL = 100
METRICS_A_CALL = 1000
TAGS_A_CALL = 100
PARAMETER_LENGTH = 6000
"""Limits of MLflow's REST API. Source: MLflow documentation, "REST API", runs/log-batch."""

_STATUS = {"running": "RUNNING", "finished": "FINISHED", "stopped": "KILLED", "killed": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True)
class Value:
    """One measured value: name, value, milliseconds since 1970, optimizer step."""

    name: str
    value: float
    time: int
    step: int


class MlflowStore:
    """One tracking store.

    Args:
        uri: address of the store, such as ``sqlite:////folder/mlflow.db`` or ``http://host:5000``.
        artifacts: folder for the artifacts of new experiments; the store's own choice when not given.
        timeout: seconds to wait for one answer.
    """

    def __init__(self, uri: str, artifacts: Path | None, timeout: float) -> None:
        # MLflow asks again for minutes by itself; here the caller decides when to ask again.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout))))
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri)
        self._artifacts = artifacts

    def experiment(self, name: str) -> str:
        """Id of the experiment of that name, made where there is none."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = self._artifacts.as_uri() if self._artifacts is not None else None
            try:
                return str(self._client.create_experiment(name, artifact_location=location))
            except Exception:
                found = self._client.get_experiment_by_name(name)  # another job was faster
                if found is None:
                    raise
        return str(found.experiment_id)

    def run(self, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Id of the run that carries ``gatework.key = key``, made where there is none: asking twice makes one run.

        Args:
            experiment: id of the experiment.
            key: what tells this run from all others.
            name: what people see.
            tags: further tags of a new run.
        """
        found = self._client.search_runs([experiment], f"tags.`gatework.key` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        made = self._client.create_run(experiment, run_name=name, tags={**tags, "gatework.key": key})
        return str(made.info.run_id)

    def set_status(self, run: str, status: str) -> None:
        """Marks a run; ``running`` also takes an ended run up again."""
        if status == "running":
            self._client.update_run(run, status=_STATUS[status])
        else:
            self._client.set_terminated(run, status=_STATUS[status])

    def add_parameters(self, run: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Adds parameters that the run does not have yet.

        Returns:
            Those that it has with another value, which MLflow never changes.
        """
        from mlflow.entities import Param

        there = self._client.get_run(run).data.params
        new = [(key, value) for key, value in parameters.items() if key not in there]
        for part in _parts(new, PARAMETERS_A_CALL):
            self._client.log_batch(run, params=[Param(key, value) for key, value in part])
        return {key: value for key, value in parameters.items() if there.get(key, value) != value}

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Sets tags; old values are replaced."""
        from mlflow.entities import RunTag

        for part in _parts(list(tags.items()), TAGS_A_CALL):
            self._client.log_batch(run, tags=[RunTag(key, value) for key, value in part])

    def add_values(self, run: str, values: Sequence[Value]) -> None:
        """Adds measured values; the same value of the same time and step is kept once, however often it is sent."""
        from mlflow.entities import Metric

        for part in _parts(values, METRICS_A_CALL):
            self._client.log_batch(run, metrics=[Metric(one.name, one.value, one.time, one.step) for one in part])

    def add_file(self, run: str, file: Path, folder: str) -> None:
        """Uploads a file into a folder of the run's artifacts, over one of the same name."""
        self._client.log_artifact(run, str(file), folder)


def _parts(items: Sequence[Any], length: int) -> Iterable[Sequence[Any]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
