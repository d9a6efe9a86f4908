"""The trained model as MLflow keeps it: raw input in, predictions out, from code and safetensors; nothing is pickled."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from framework.errors import GateworkError
from framework.plugins import plugin_distributions
from framework.spec.validate import validate_experiment
from framework.tasks.known import task_of
from framework.tasks.task import Interface, Row
from framework.tracking.store import KEY_TAG, MlflowStore

CODE = "gatework.zip"
"""Gatework's own sources beside the model, so that it can be served where Gatework is not installed."""

WEIGHTS = "weights.safetensors"

_STATE_TAG = "gatework.model_state"
_PROGRAM = "served.py"
"""The file here that becomes the model's code."""


def is_logged(resolved: Mapping[str, Any]) -> bool:
    """Whether a run's model can be logged: its task says what it takes and gives."""
    try:
        _interface(resolved)
    except (NotImplementedError, GateworkError):
        return False
    return True


def _interface(resolved: Mapping[str, Any]) -> tuple[Interface, Row]:
    """What the model takes and gives, and one row of it."""
    experiment = validate_experiment(resolved)
    task = task_of(experiment)
    return task.interface(experiment), task.input_example(experiment)


def model_state(folder: Path) -> list[int] | None:
    """What tells one portable model of a run from the next; None where there is none."""
    path = folder / "model" / WEIGHTS
    if not path.is_file():
        return None
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def log_model(store: MlflowStore, experiment: str, run: str, key: str, folder: Path, resolved: Mapping[str, Any], step: int) -> str:
    """Logs a run's portable model, unless that was done; the model's id.

    Args:
        store: where to.
        experiment: id of the run's experiment.
        run: the run's id.
        key: the run's own key.
        folder: the run's folder.
        resolved: its resolved config.
        step: optimizer steps after which the model was taken.
    """
    state = str(model_state(folder))
    for model, tags in store.models(experiment, run).items():
        if tags.get(_STATE_TAG) == state:
            if tags["status"] == "READY":
                return model
            store.delete_model(model)  # the upload broke off
    source = folder / "model"
    with tempfile.TemporaryDirectory(prefix="gatework-") as scratch:
        code = Path(scratch) / CODE
        pack_code(code)
        interface, row = _interface(resolved)
        size = code.stat().st_size + sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
        arguments = {
            "python_model": str(Path(__file__).with_name(_PROGRAM)),
            "artifacts": {"model": str(source), "code": str(code)},
            "signature": _signature(interface),
            "input_example": _example(interface, row),
            "pip_requirements": requirements(resolved["backend"]["name"], resolved),
        }
        model = store.make_model(experiment, run, {KEY_TAG: key, _STATE_TAG: state, "gatework.recipe": resolved["recipe"]})
        store.fill_model(model, run, step, size, arguments)
        return model


def pack_code(path: Path) -> None:
    """Writes Gatework's sources into a zip file that Python can import from."""
    package = Path(__file__).parents[1]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*.py")):
            relative = file.relative_to(package.parent)
            if not {"configs", "recipes"} & set(relative.parts):
                archive.write(file, relative.as_posix())


def requirements(backend: str, resolved: Mapping[str, Any]) -> list[str]:
    """What the model needs to run, pinned to the versions that it was trained with.

    Args:
        backend: ``torch`` or ``tensorflow``.
        resolved: the run's config; an extra that is called like a kind in it, or like a kind's first word, belongs to the model.
    """
    kinds = [f"{kind}_" for kind in _kinds(resolved)]
    extras = ["", backend, "mlflow", *(one for one in _extras() if any(kind.startswith(f"{one}_") for kind in kinds))]
    from packaging.requirements import Requirement

    needed: list[str] = []
    for requirement in map(Requirement, _declared()):
        wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        if wanted and requirement.name != "gatework":
            needed.extend(_pinned(requirement.name))
    plugged = [name for name in plugin_distributions() if name != "gatework"]
    return list(dict.fromkeys([*needed, *_pinned("pandas"), *(one for name in plugged for one in _pinned(name))]))


def _kinds(value: Any) -> Iterator[str]:
    """Every ``kind`` in a config."""
    for key, part in value.items() if isinstance(value, Mapping) else ():
        if key == "kind" and isinstance(part, str):
            yield part
        yield from _kinds(part)


def _extras() -> list[str]:
    try:
        return metadata.metadata("gatework").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _declared() -> list[str]:
    try:
        return metadata.requires("gatework") or []
    except metadata.PackageNotFoundError:
        return []


def _pinned(name: str) -> Iterator[str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return
    yield f"{name}=={re.sub(r'[+].*', '', version)}"  # an index knows no local versions, such as 2.13.0+cpu


def _signature(interface: Interface) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    def columns(found: Mapping[str, str], required: bool = True) -> Schema:
        return Schema([ColSpec(DataType[kind], name, required) for name, kind in found.items()])

    params = [*(ParamSpec(name, DataType[kind], None) for name, kind in interface.settings.items()), ParamSpec("seed", DataType.long, 0)]
    return ModelSignature(columns(interface.inputs, not interface.one_of), columns(interface.outputs), ParamSchema(params))


def _example(interface: Interface, row: Row) -> Any:
    import pandas

    given = {name: value for name, value in row.items() if value is not None}
    return pandas.DataFrame([given]), {"length": 100} if "length" in interface.settings else {}
