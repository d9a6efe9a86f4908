"""A run's weights in the file formats of Keras and torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from framework.backends.base.backend import Trainee
from framework.engine.model.opening import trained_model
from framework.engine.model.weight_files import export_ending, export_weights
from framework.engine.run.building import build_on_backend
from framework.engine.run.folder import RunFolder, find_run
from framework.errors import InputError


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        source: the run.
        notes: what somebody who loads the file has to know, a sentence each.
    """

    source: RunFolder
    notes: tuple[str, ...]


def export_run(name: str, path: Path | str, runs_dir: str = "runs", warn: Callable[[str], None] = warnings.warn) -> Exported:
    """Writes a run's weights, the best where it was validated, in the format that the file's ending names.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        path: ``.weights.h5`` and ``.keras`` for Keras 3, ``.pt``, ``.pth`` and ``.torch.safetensors`` for torch's modules,
            ``.safetensors`` for the neutral form. Written anew if it is there.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.

    Raises:
        InputError: the ending is none of those, or the folder is not there.
        UnsupportedArgument: torch has no counterpart of a layer; it is named.
        ParityError: a ``.keras`` file of Keras' own layers would compute something else; nothing is written.
        CheckpointError: the file cannot be written.
    """
    export_ending(path)
    if not Path(path).parent.is_dir():
        raise InputError(f"there is no folder {Path(path).parent} to write {Path(path).name} into")
    folder = find_run(name, runs_dir)
    model = trained_model(folder, warn)
    experiment = model.experiment

    def build(backend: str) -> Trainee:
        spec = experiment.backend.model_copy(update={"name": backend})
        return build_on_backend(experiment.model_copy(update={"backend": spec}), model.plan, model.weights)[1]

    return Exported(folder, tuple(export_weights(path, build, model.plan, model.weights)))
