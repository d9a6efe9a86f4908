"""One whole experiment: everything a run is made from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SerializeAsAny

from framework.spec.backend import BackendSpec
from framework.spec.base import SPEC_VERSION, Spec
from framework.spec.data import DataSpec
from framework.spec.decoding import DecodingSpec
from framework.spec.model import ModelSpec
from framework.spec.optimizer import OptimizerSpec
from framework.spec.task import TaskSpec
from framework.spec.tracking import TrackingSpec
from framework.spec.trainer import TrainerSpec


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
    recipe: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Name of the recipe; runs lie under it."""
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][\w.-]*$")
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
