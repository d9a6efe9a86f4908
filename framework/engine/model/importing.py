"""A run of a model that was trained elsewhere: a recipe's model with the weights of a file."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.registry import load_backend
from framework.backends.base.training import Position
from framework.engine.model.agreement import compare_outputs
from framework.engine.model.new_run import new_run
from framework.engine.model.weight_files import expected_layers, open_weights
from framework.engine.run.checkpoint import CheckpointStore, Progress
from framework.engine.run.digest import resolved
from framework.engine.run.folder import RunFolder
from framework.engine.run.portable import write_portable
from framework.engine.run.prepare import build_trainee, prepare_experiment
from framework.engine.run.start import write_start
from framework.errors import BackendUnavailable, InputError, RunError
from framework.files import expanded
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere
from framework.spec.validate import validate_experiment
from framework.weights.expected import fit_weights, match_layers
from framework.weights.files import detect_format
from framework.weights.found import FoundWeights


@dataclass(frozen=True)
class MatchedLayer:
    """A layer of the model and the file's layer that its weights are from.

    Attributes:
        name: of the model's layer.
        kind: of the model's layer.
        found: the name of the file's layer.
        shapes: of its weights, by their names.
    """

    name: str
    kind: str
    found: str
    shapes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Imported:
    """A model that became a run.

    Attributes:
        folder: the new run.
        format: what the file is, in words.
        layers: which of the file's layers each of the model's has its weights from.
        difference: largest difference of the outputs on one batch, as a share of their largest absolute value; None where the file's
            model was not run.
        not_run: why it was not run; None where it was.
    """

    folder: RunFolder
    format: str
    layers: tuple[MatchedLayer, ...]
    difference: float | None
    not_run: str | None


def import_model(
    path: Path | str,
    experiment: Experiment,
    *,
    name: str | None = None,
    layers: Mapping[str, str] | None = None,
    composed: str | None = None,
    overrides: Sequence[str] = (),
    locate: Locate = nowhere,
) -> Imported:
    """Makes a finished run of a model in a file: it generates, is measured, is converted and served, and trains on as any other.

    Where the file holds a whole Keras model and TensorFlow is installed, both models' outputs are compared on a batch of the recipe's
    data before anything is written.

    Args:
        path: ``.keras``, ``.h5``, ``.weights.h5``, ``.pt``, ``.pth`` or ``.safetensors``, told by its content; nothing in it is unpickled.
        experiment: the recipe whose model it is, with its data.
        name: of the new run; made from the file's name and the backend when not given.
        layers: the file's layer by the model's, where they are not told by name, place or kind.
        composed: the composed YAML, kept in the run's folder; written from the experiment when not given.
        overrides: the overrides as typed, kept likewise.
        locate: where each key was set, for messages.

    Raises:
        InputError: the file is missing, of another format, or reading it would run code; or ``layers`` is wrong.
        CheckpointError: the file is damaged, or its weights are not the model's; both sides are shown.
        ParityError: the two models disagree on a batch; nothing is written.
        RunError: there is a run of that name.
        GateworkError: the recipe's data or model cannot be made.
    """
    path = Path(path)
    found = open_weights(path)
    experiment = _named(experiment, name or _name_of(path, experiment.backend.name))
    folder = _free_folder(experiment)
    prepared = prepare_experiment(experiment, locate)
    expected = expected_layers(prepared.plan)
    weights = fit_weights(found, expected, layers)
    backend, trainee = build_trainee(prepared, weights)
    difference, not_run = _compared(path, found, trainee, next(prepared.data.train.epoch(0)).inputs)
    with new_run(folder) as part:
        write_start(part, experiment, prepared, composed, overrides)
        store = CheckpointStore(part.checkpoints)
        store.save(trainee.state(), Progress(Position()), best=prepared.data.validation is not None)
        write_portable(part, prepared, store, lambda _: None)
        part.update_record(
            status="finished",
            epochs=0,
            steps=0,
            ended=time.time(),
            versions=backend.versions(),
            imported_from={"file": path.name, "sha256": _digest(path), "format": found.format, "difference": difference},
        )
    matches = match_layers(found, expected, layers)
    matched = tuple(MatchedLayer(layer.name, layer.kind, theirs.name, layer.weights) for layer, theirs in matches)
    return Imported(folder, found.format, matched, difference, not_run)


def _named(experiment: Experiment, name: str) -> Experiment:
    return validate_experiment({**resolved(experiment), "name": name})


def _name_of(path: Path, backend: str) -> str:
    stem = re.sub(r"(\.torch|\.weights)?\.\w+$", "", path.name)
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', stem).strip('-') or 'imported'}-{backend}"


def _free_folder(experiment: Experiment) -> RunFolder:
    folder = RunFolder(expanded(experiment.paths.runs_dir).resolve() / experiment.recipe / str(experiment.name))
    if folder.path.exists():
        raise RunError(f"{folder.path} is there already; give the new run another name")
    return folder


def _compared(
    path: Path, found: FoundWeights, trainee: Trainee, inputs: Mapping[str, NDArray[np.generic]]
) -> tuple[float | None, str | None]:
    """The difference of the two models' outputs; or why the file's model is not run."""
    if detect_format(path) not in ("keras", "hdf5") or not any(layer.config for layer in found.layers):
        return None, f"{path} holds weights alone"
    try:
        load_backend("tensorflow")
        from framework.backends.tensorflow.whole_model import outputs_of_file

        theirs = outputs_of_file(path, inputs)
    except (BackendUnavailable, InputError) as error:
        return None, str(error).splitlines()[0]
    ours = trainee.predict(inputs)
    if len(theirs) != len(ours):
        return None, f"the model in {path} has {len(theirs)} outputs, the recipe's {len(ours)}"
    return compare_outputs(dict(zip(ours, theirs, strict=True)), ours, (path.name, "the recipe")), None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
