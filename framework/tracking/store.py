"""The few calls of MLflow that Gatework makes, on one store; every one of them may be made twice and counts once."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.errors import RunError
from framework.file_lock import file_lock
from framework.tracking.address import environment_of, split_user
from framework.tracking.moved import follow_move

MODEL_NAME = "model"
"""Name of the logged model, in MLflow's list of models."""

KEY_TAG = "gatework.key"
"""Tag that tells a run from all others, wherever it is recorded."""

_PARAMETERS_A_CALL = 100
_METRICS_A_CALL = 1000
_TAGS_A_CALL = 100
_CHARACTERS_A_CALL = 100_000
"""Limits of MLflow's REST API; it counts bytes, up to 1e6. Source: MLflow documentation, "REST API", runs/log-batch."""

_LONGEST_PATIENCE = 60.0
_LOCAL_PATIENCE = 120.0
"""Seconds that a database file may need for one call; making a new one takes many."""

_SLOWEST_UPLOAD = 5e5
"""Bytes a second that an upload is trusted to reach."""

_STATUS = {"running": "RUNNING", "finished": "FINISHED", "stopped": "KILLED", "killed": "KILLED", "pruned": "FINISHED", "failed": "FAILED"}


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
        timeout: seconds to wait for one answer of a server at first; doubled each time that this was too short.
        allow: told, before each call, how many seconds it may take.

    Attributes:
        timeout: seconds to wait for one answer now.
        uri: the address without user and password.
    """

    def __init__(self, uri: str, artifacts: Path | None, timeout: float, allow: Callable[[float], None] = lambda seconds: None) -> None:
        # MLflow asks again for minutes by itself; here the caller decides when to ask again.
        quiet_mlflow()
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        self.uri, self._user = split_user(uri)
        self._artifacts = artifacts
        self._allow = allow
        self._database = _database_file(self.uri)
        self.wait_for(timeout)
        allow(_LOCAL_PATIENCE)  # importing it may take long where much else runs
        from mlflow import MlflowClient

        with self._call():  # makes or migrates a database file
            if self._database is not None and artifacts is not None:
                follow_move(self._database, artifacts, KEY_TAG)
            self.client: Any = MlflowClient(tracking_uri=self.uri)

    def experiment(self, name: str) -> str:
        """Id of the experiment of that name, made where there is none.

        Raises:
            RunError: somebody has deleted it.
        """
        with self._call(2):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                location = self._artifacts.as_uri() if self._artifacts is not None else None
                try:
                    return str(self.client.create_experiment(name, artifact_location=location))
                except Exception:
                    found = self.client.get_experiment_by_name(name)  # another job was faster
                    if found is None:
                        raise
            if found.lifecycle_stage != "active":
                way = f"mlflow experiments restore --experiment-id {found.experiment_id}"
                raise RunError(f"the experiment '{name}' was deleted there; {way} brings it back, tracking.experiment_name=… names another")
            return str(found.experiment_id)

    def runs(self, experiment: str, key: str) -> list[str]:
        """Ids of the runs that carry ``gatework.key = key``; the oldest first."""
        with self._call():
            found = self.client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", order_by=["attributes.start_time ASC"])
            return [str(run.info.run_id) for run in found]

    def make_run(self, experiment: str, key: str, name: str, started: int | None) -> str:
        """Id of a new run.

        Args:
            experiment: id of the experiment.
            key: what tells this run from all others.
            name: what people see.
            started: milliseconds since 1970; now when not given.
        """
        with self._call():
            made = self.client.create_run(experiment, start_time=started, run_name=name, tags={KEY_TAG: key})
            return str(made.info.run_id)

    def has_run(self, run: str) -> bool:
        """Whether the run is there and was not deleted."""
        from mlflow.exceptions import MlflowException

        with self._call():
            try:
                return bool(self.client.get_run(run).info.lifecycle_stage == "active")
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise

    def delete_run(self, run: str) -> None:
        """Deletes a run that was made by mistake."""
        with self._call():
            self.client.delete_run(run)

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        """Marks a run; ``running`` also takes an ended run up again.

        Args:
            run: its id.
            status: ``running``, ``finished``, ``stopped``, ``killed`` or ``failed``.
            ended: milliseconds since 1970.
        """
        with self._call():
            if status == "running":
                self.client.update_run(run, status=_STATUS[status])
            else:
                self.client.set_terminated(run, status=_STATUS[status], end_time=ended)

    def parameters_and_tags(self, run: str) -> tuple[dict[str, str], dict[str, str]]:
        """What the run has of each."""
        with self._call():
            data = self.client.get_run(run).data
            return dict(data.params), dict(data.tags)

    def add_parameters(self, run: str, parameters: Mapping[str, str]) -> None:
        """Adds parameters; none of them may be there with another value, which MLflow never changes."""
        from mlflow.entities import Param

        for part in _parts(list(parameters.items()), _PARAMETERS_A_CALL):
            with self._call():
                self.client.log_batch(run, params=[Param(key, value) for key, value in part])

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Sets tags; old values are replaced."""
        from mlflow.entities import RunTag

        for part in _parts(list(tags.items()), _TAGS_A_CALL):
            with self._call():
                self.client.log_batch(run, tags=[RunTag(key, value) for key, value in part])

    def delete_tag(self, run: str, tag: str) -> None:
        """Takes a tag off that the run has."""
        with self._call():
            self.client.delete_tag(run, tag)

    def add_values(self, run: str, values: Sequence[Value]) -> None:
        """Adds measured values; the same value of the same time and step is kept once, however often it is sent."""
        from mlflow.entities import Metric

        for start in range(0, len(values), _METRICS_A_CALL):
            part = values[start : start + _METRICS_A_CALL]
            with self._call():
                self.client.log_batch(run, metrics=[Metric(one.name, one.value, one.time, one.step) for one in part])

    def steps(self, run: str, name: str) -> set[int]:
        """Steps that the run has a value of that name for."""
        with self._call():
            return {point.step for point in self.client.get_metric_history(run, name)}

    def add_data(self, run: str, name: str, digest: str, source: str) -> None:
        """Names the data that the run is trained on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name=name, digest=digest[:36], source_type="local", source=source)  # longer digests are refused
        with self._call():
            self.client.log_inputs(run, datasets=[DatasetInput(data, [InputTag("mlflow.data.context", "training")])])

    def add_file(self, run: str, file: Path, folder: str) -> None:
        """Uploads a file into a folder of the run's artifacts, over one of the same name."""
        with self._call(2, file.stat().st_size):
            self.client.log_artifact(run, str(file), folder or None)

    def models(self, experiment: str, run: str) -> dict[str, dict[str, str]]:
        """Tags of the run's logged models by model id, with the model's state as ``status``."""
        with self._call():
            found = self.client.search_logged_models([experiment], filter_string=f"source_run_id = '{run}'")
            return {str(model.model_id): {**model.tags, "status": str(model.status.value)} for model in found}

    def delete_model(self, model: str) -> None:
        """Deletes a logged model."""
        with self._call():
            self.client.delete_logged_model(model)

    def make_model(self, experiment: str, run: str, tags: Mapping[str, str]) -> str:
        """Id of a new logged model, which is still to be filled.

        Args:
            experiment: id of the run's experiment.
            run: run that it comes from, whose parameters it takes over.
            tags: its tags.
        """
        parameters, _ = self.parameters_and_tags(run)
        with self._call(2):
            made = self.client.create_logged_model(experiment, MODEL_NAME, source_run_id=run, tags=dict(tags), params=parameters)
            return str(made.model_id)

    def fill_model(self, model: str, run: str, step: int, size: int, arguments: Mapping[str, Any]) -> None:
        """Uploads a logged model as a pyfunc, and marks it ready.

        Args:
            model: its id.
            run: run that it comes from.
            step: optimizer steps after which it was taken; it gets the run's values of that step.
            size: of everything in it, in bytes.
            arguments: those of :func:`mlflow.pyfunc.save_model`.
        """
        import mlflow
        from mlflow.models import Model

        with self._call(40, size):  # some 10 calls, and an upload for each file
            mlflow.set_tracking_uri(self.uri)
            # Without `validate_serving_input` MLflow would load the model, and with it a whole backend, into this process.
            Model.log(None, _Pyfunc, run_id=run, model_id=model, step=step, validate_serving_input=False, **arguments)

    def register(self, model: str, run: str, name: str) -> str:
        """Registers a logged model under a name, once; the version that it has there."""
        import mlflow

        with self._call(10):
            mlflow.set_tracking_uri(self.uri)
            registry: Any = mlflow.MlflowClient(tracking_uri=self.uri)
            for version in registry.search_model_versions(f"name = '{name}' and run_id = '{run}'"):
                if version.source == f"models:/{model}":
                    return str(version.version)
            return str(mlflow.register_model(f"models:/{model}", name).version)

    @contextmanager
    def _call(self, answers: int = 1, size: int = 0) -> Iterator[None]:
        """One call, or a few that belong together.

        Args:
            answers: answers of a server that it waits for.
            size: bytes that it sends.
        """
        file = self._database
        # A request may use the time twice, once to connect and once to be answered; a file may first be waited for.
        patience = 2 * (_LOCAL_PATIENCE if file is not None else answers * self.timeout)
        self._allow(patience + size / _SLOWEST_UPLOAD)
        try:
            with (
                environment_of(self.uri, self._user),
                nullcontext() if file is None else file_lock(file.with_name(f"{file.name}.lock"), _LOCAL_PATIENCE),
            ):
                yield
        except Exception as error:
            if "timed out" in str(error).lower():
                self.wait_for(min(2 * self.timeout, max(self.timeout, _LONGEST_PATIENCE)))
            raise

    def wait_for(self, seconds: float) -> None:
        """Sets how long to wait for one answer of a server."""
        self.timeout = seconds
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(seconds)))


def mlflow_is_installed() -> bool:
    """Whether ``import mlflow`` would find something."""
    return importlib.util.find_spec("mlflow") is not None


def quiet_mlflow() -> None:
    """MLflow shall say nothing that is no fault, draw no bars, and report to nobody; before it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


class _Pyfunc:
    """MLflow's own flavour of models, but for an argument that its ``log`` takes and its ``save_model`` refuses."""

    @staticmethod
    def save_model(validate_serving_input: bool, **arguments: Any) -> None:
        import mlflow

        mlflow.pyfunc.save_model(**arguments)


_Pyfunc.__name__ = "mlflow.pyfunc"


def _database_file(uri: str) -> Path | None:
    """The file of a sqlite store."""
    if not uri.startswith("sqlite:///"):
        return None
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(path) if path and path != ":memory:" else None


def _parts(items: Sequence[tuple[str, str]], length: int) -> Iterator[Sequence[tuple[str, str]]]:
    """Parts of at most ``length`` items and about ``_CHARACTERS_A_CALL`` characters."""
    part: list[tuple[str, str]] = []
    characters = 0
    for key, value in items:
        characters += len(key) + len(value)
        if part and (len(part) == length or characters > _CHARACTERS_A_CALL):
            yield part
            part, characters = [], len(key) + len(value)
        part.append((key, value))
    if part:
        yield part


def model_trouble(address: str, uri: str | None = None) -> str | None:
    """Why MLflow does not give a model, in its own words; None where it has it.

    Args:
        address: ``models:/…``.
        uri: address of the store; the environment's when not given.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.utils.models import _parse_model_uri

    try:
        client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
        parsed = _parse_model_uri(address)
        if parsed.model_id is not None:
            client.get_logged_model(parsed.model_id)
        elif parsed.alias is not None:
            client.get_model_version_by_alias(parsed.name, parsed.alias)
        elif parsed.version is not None:
            client.get_model_version(parsed.name, parsed.version)
        else:
            client.get_registered_model(parsed.name)
    except MlflowException as error:
        return str(error).splitlines()[0].removeprefix("RESOURCE_DOES_NOT_EXIST: ")
    return None
