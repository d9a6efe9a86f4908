"""The portable model: YAML, safetensors and the vocabulary; no code, no backend, nothing that runs when it is read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.builder.plan import ModelPlan
from framework.data.vocabulary import VOCABULARY_FILE, Vocabulary
from framework.engine.checkpoint import Checkpoint, CheckpointStore
from framework.engine.digest import resolved
from framework.engine.folder import RunFolder
from framework.engine.planning import plan_experiment
from framework.engine.prepare import Prepared
from framework.errors import RunError
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment
from framework.weights.store import load_weights, save_weights

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
        vocabulary: of the tokens that it reads and writes.
    """

    experiment: Experiment
    plan: ModelPlan
    weights: Mapping[str, NDArray[np.generic]]
    vocabulary: Vocabulary


def model_weights(checkpoint: Checkpoint) -> dict[str, NDArray[np.generic]]:
    """The weights alone of a checkpoint."""
    return {name.removeprefix(WEIGHTS_PREFIX): array for name, array in checkpoint.state.items() if name.startswith(WEIGHTS_PREFIX)}


def chosen_checkpoint(store: CheckpointStore, validated: bool) -> Checkpoint:
    """The checkpoint to use a run by: ``best`` where there was validation, else ``last``.

    Raises:
        CheckpointError: there is none yet, or it is damaged.
    """
    if validated and store.has("best"):
        return store.load("best")
    return store.load("last")


def write_portable(folder: RunFolder, prepared: Prepared, store: CheckpointStore) -> None:
    """Writes ``<run>/model`` in one step, from the best checkpoint where there was validation, else from the last."""
    from framework.config.saved import save_resolved

    checkpoint = chosen_checkpoint(store, prepared.data.validation is not None)
    part = folder.path / ".model.new"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_resolved(part / SPEC_FILE, resolved(prepared.experiment))
    save_weights(part / WEIGHTS_FILE, model_weights(checkpoint))
    prepared.data.vocabulary.save(part / VOCABULARY_FILE)
    shutil.rmtree(folder.model, ignore_errors=True)
    part.rename(folder.model)


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
    vocabulary = Vocabulary.load(path / VOCABULARY_FILE)
    plan = plan_experiment(experiment, {})
    return PortableModel(experiment, plan, load_weights(path / WEIGHTS_FILE), vocabulary)
