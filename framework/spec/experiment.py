"""One whole experiment: everything a run is made from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SerializeAsAny
from pydantic_core import PydanticCustomError

from framework.spec.backend import BackendSpec
from framework.spec.base import SPEC_VERSION, Spec
from framework.spec.data import DataSpec
from framework.spec.decoding import DecodingSpec
from framework.spec.model import ModelSpec
from framework.spec.optimizer import OptimizerSpec
from framework.spec.task import TaskSpec
from framework.spec.tracking import TrackingSpec
from framework.spec.trainer import TrainerSpec

_NAME_BYTES = 240
"""Most systems allow 255 for a file's name, and what lies beside or in a run's folder is called a little longer."""

LAST = "last"
"""Stands for the latest run, wherever a run is named; the file beside the recipes' folders that tells it is called so."""


def _fits_a_folder(value: str) -> str:
    length = len(value.encode("utf-8", "surrogatepass"))
    if length > _NAME_BYTES:
        expected = f"at most {_NAME_BYTES} bytes of UTF-8, since a folder is called so"
        raise PydanticCustomError("identifier", "a name of {length} bytes", {"length": length, "expected": expected})
    return value


def _is_not_last(value: str) -> str:
    if value == LAST:
        raise PydanticCustomError("identifier", "'last' means the latest run", {"expected": "another name"})
    return value


FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$"), AfterValidator(_fits_a_folder)]
"""A name that a folder can have."""


class PathsSpec(Spec):
    """Where things lie; relative paths count from the working folder."""

    runs_dir: str = "runs"
    """Folder of all runs."""
    data_dir: str | None = None
    """Folder with data sets; ``$GATEWORK_DATA`` when not given."""
    cache_dir: str | None = None
    """Folder for downloads; the user's cache folder when not given."""


class RunSettings(Spec):
    """What stands at the top of a config beside its sections."""

    spec_version: int = SPEC_VERSION
    """Version of this vocabulary."""
    recipe: Annotated[FolderName, AfterValidator(_is_not_last)]
    """Name of the recipe; runs lie under it."""
    name: FolderName | None = None
    """Name of the run; made from the backend and the config when not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of weights, order of the data, dropout and samples."""
    resume: Literal["auto", "never", "must"] = "auto"
    """auto: go on with the run of the same config; never: start a new one beside it; must: fail if there is none."""


class Experiment(RunSettings):
    """A validated config. Frozen; sizes that only the data knows may still be open (``${size:…}``)."""

    backend: BackendSpec
    """Which framework, and on what."""
    data: SerializeAsAny[DataSpec]
    """What is read."""
    task: SerializeAsAny[TaskSpec]
    """What the model is trained for."""
    model: ModelSpec
    """The model."""
    optimizer: SerializeAsAny[OptimizerSpec]
    """How the weights change."""
    trainer: TrainerSpec
    """How long and how it is trained."""
    decoding: DecodingSpec
    """How the trained model makes text."""
    tracking: TrackingSpec
    """Where the run is recorded."""
    paths: PathsSpec
    """Where things lie."""
