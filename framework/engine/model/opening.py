"""Any trained run as a model to use: opened on a backend, with its task and its processor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

from framework.data.prepare import load_processor
from framework.decoding.precision import Precision
from framework.engine.run.building import build_on_backend
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.folder import RunFolder
from framework.engine.run.portable import PortableModel, chosen_checkpoint, model_weights, portable_model, read_portable
from framework.errors import CheckpointError, GateworkError, InputError
from framework.spec.backend import BackendSpec
from framework.spec.validate import validate_experiment
from framework.tasks.known import task_of
from framework.tasks.model import Model


def open_model(
    folder: RunFolder,
    backend: str | None = None,
    warn: Callable[[str], None] = warnings.warn,
    precision: Precision = "float32",
) -> Model:
    """The model of a run, ready to predict: its portable one, or, while it still trains, that of its latest checkpoint.

    Args:
        folder: the run's.
        backend: to run on; the one it was trained on when not given.
        warn: told of damaged files that another one takes the place of.
        precision: of large products when it decodes.

    Raises:
        RunError: the run has neither yet.
        CheckpointError: all that it has is damaged.
        InputError: another precision than float32 is asked for, and the model computes in float64.
    """
    found = trained_model(folder, warn)
    if precision != "float32" and found.experiment.trainer.precision == "64-true":
        raise InputError(f"precision {precision} is for models in float32; the model of {folder.path} computes in float64")
    return replace(built(found, backend), precision=precision)


def built(model: PortableModel, backend: str | None = None) -> Model:
    """The native model of a portable one.

    Args:
        model: experiment, plan, weights and processor.
        backend: to run on; the one it was trained on when not given.
    """
    experiment = model.experiment
    chosen = experiment.backend if backend is None or backend == experiment.backend.name else BackendSpec(name=backend)  # type: ignore[arg-type]
    _, trainee = build_on_backend(experiment.model_copy(update={"backend": chosen}), model.plan, model.weights)
    return Model(experiment, model.plan, model.processor, trainee, task_of(experiment).decoded(model.plan))


def trained_model(folder: RunFolder, warn: Callable[[str], None] = warnings.warn) -> PortableModel:
    """What a run has of its model: the portable one, or, while it still trains, that of its latest checkpoint.

    Args:
        folder: the run's.
        warn: told of damaged files that another one takes the place of.

    Raises:
        RunError: the run has neither yet.
        CheckpointError: all that it has is damaged.
    """
    if folder.read_record().get("status") != "finished" or not folder.model.is_dir():
        return _from_checkpoint(folder, warn)
    try:
        return read_portable(folder.model)
    except CheckpointError as error:
        try:
            model = _from_checkpoint(folder, warn)
        except GateworkError:
            raise error from None
        warn(f"{error}; its checkpoint is used in its place")
        return model


def _from_checkpoint(folder: RunFolder, warn: Callable[[str], None]) -> PortableModel:
    from framework.config.saved import load_resolved

    experiment = validate_experiment(load_resolved(folder.config / "resolved.yaml"))
    processor = load_processor(experiment.data, folder.config)
    checkpoint = chosen_checkpoint(CheckpointStore(folder.checkpoints), experiment.data.validates, warn)
    return portable_model(experiment, model_weights(checkpoint), processor, folder.config)
