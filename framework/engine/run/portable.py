"""The portable model: YAML, safetensors and the processor's files; no code, no backend, nothing that runs when it is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.builder.plan import ModelPlan
from framework.data.prepare import load_processor
from framework.data.processor import Processor
from framework.engine.run.checkpoint import Checkpoint, CheckpointStore
from framework.engine.run.digest import resolved
from framework.engine.run.folder import RunFolder
from framework.engine.run.planning import plan_experiment
from framework.engine.run.prepare import Prepared
from framework.errors import CheckpointError, RunError, SpecError
from framework.files import sync_folder
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment
from framework.weights.store import check_weights, load_weights, save_weights

SPEC_FILE = "spec.yaml"
WEIGHTS_FILE = "weights.safetensors"
WEIGHTS_PREFIX = "weights/"


@dataclass(frozen=True)
class PortableModel:
    """A trained model without a backend.

    Attributes:
        experiment: the config that it was trained with, sizes filled in.
        plan: its plan.
        weights: by ``layer/weight``, in Keras' layout.
        processor: from raw input to the model's and back.
    """

    experiment: Experiment
    plan: ModelPlan
    weights: Mapping[str, NDArray[np.generic]]
    processor: Processor


def model_weights(checkpoint: Checkpoint) -> dict[str, NDArray[np.generic]]:
    """The weights alone of a checkpoint."""
    return {name.removeprefix(WEIGHTS_PREFIX): array for name, array in checkpoint.state.items() if name.startswith(WEIGHTS_PREFIX)}


def chosen_checkpoint(store: CheckpointStore, validated: bool, warn: Callable[[str], None]) -> Checkpoint:
    """The checkpoint to use a run by: ``best`` where there was validation, else ``last``; or the next one that is not damaged.

    Args:
        store: the run's checkpoints.
        validated: whether the run holds data out.
        warn: told of every damaged checkpoint.

    Raises:
        CheckpointError: there is none yet, or all are damaged.
    """
    found = store.first_whole(("best", "last", "previous") if validated else ("last", "previous"), warn)
    if found is None:
        raise CheckpointError(f"no checkpoint in {store.folder} yet")
    return found


def write_portable(folder: RunFolder, prepared: Prepared, store: CheckpointStore, warn: Callable[[str], None]) -> None:
    """Writes ``<run>/model`` in one step, from the best checkpoint where there was validation, else from the last.

    Args:
        folder: the run's.
        prepared: what was trained.
        store: the run's checkpoints.
        warn: told of every damaged checkpoint.

    Raises:
        GateworkError: it cannot be written, or there is no checkpoint that is not damaged.
    """
    from framework.config.saved import save_resolved

    checkpoint = chosen_checkpoint(store, prepared.data.validation is not None, warn)
    part = folder.path / ".model.new"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_resolved(part / SPEC_FILE, resolved(prepared.experiment))
        save_weights(part / WEIGHTS_FILE, model_weights(checkpoint))
        prepared.data.processor.save(part)
        shutil.rmtree(folder.model, ignore_errors=True)
        part.rename(folder.model)
        sync_folder(folder.path)
    except OSError as error:
        raise RunError(f"cannot write {folder.model}: {error.strerror or error}") from error


def read_portable(path: Path) -> PortableModel:
    """The model in a folder that :func:`write_portable` wrote.

    Raises:
        RunError: it is no such folder, or was written by a newer version.
        CheckpointError: the weights are damaged.
    """
    from framework.config.saved import load_resolved

    if not (path / SPEC_FILE).is_file():
        raise RunError(f"{path} holds no model: {SPEC_FILE} is not there")
    experiment = validate_experiment(load_resolved(path / SPEC_FILE))
    return portable_model(experiment, load_weights(path / WEIGHTS_FILE), load_processor(experiment.data, path), path)


def portable_model(experiment: Experiment, weights: Mapping[str, NDArray[np.generic]], processor: Processor, path: Path) -> PortableModel:
    """A model of parts that were read from files.

    Args:
        experiment: sizes filled in.
        weights: by ``layer/weight``.
        processor: kept with it.
        path: the folder of the processor, for messages.

    Raises:
        RunError: the processor is not the model's, or the model fits no task.
        CheckpointError: the weights are not the model's.
    """
    try:
        plan = plan_experiment(experiment, processor.sizes)
    except SpecError as error:
        found = "; ".join(f"{one.path} {one.message}, expected {one.expected}" for one in error.problems)
        sizes = ", ".join(f"{value} {name}" for name, value in processor.sizes.items())
        raise RunError(f"what {path} keeps of its data ({sizes}) is not the model's: {found}") from error
    check_weights({f"{layer.name}/{one.name}": one.shape for layer in plan.layers for one in layer.weights}, weights, f"weights of {path}")
    return PortableModel(experiment, plan, weights, processor)
