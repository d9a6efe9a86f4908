"""The public functions: load, build, train, import_model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.config.compose import compose
from framework.engine.model import importing
from framework.engine.model.run import Run
from framework.engine.run.prepare import build_trainee, prepare_experiment
from framework.engine.run.train import train as train_experiment
from framework.report.progress import Reporter
from framework.spec.experiment import Experiment


def load(recipe: str, overrides: Sequence[str] = (), config_dirs: Sequence[Path | str] = ()) -> Experiment:
    """Composes and validates a recipe, as the command line does.

    Args:
        recipe: name of a recipe, shipped or in ``./configs/recipe``.
        overrides: as on the command line, such as ``backend=tensorflow`` or ``model.layers.gru.units=512``.
        config_dirs: folders of configs that come before ``./configs`` and the shipped ones.

    Raises:
        SpecError: with every problem found.
    """
    composed = compose([f"recipe={recipe}", *overrides], [Path(folder) for folder in config_dirs])
    return composed.experiment()


def build(experiment: Experiment) -> Any:
    """The native model with its initial weights: a ``keras.Model`` or a ``LightningModule``.

    Prepares the data first, for the sizes that the model needs of it.

    Raises:
        DataError: the data is missing, unreadable or too short.
        SpecError: the model does not fit the data or the task.
        BackendUnavailable: the backend is not installed.
    """
    return build_trainee(prepare_experiment(experiment))[1].native


def train(experiment: Experiment, reporter: Reporter | None = None) -> Run:
    """Trains an experiment: the same run as the command's.

    Args:
        experiment: from :func:`load`.
        reporter: who is told what happens; nobody when not given.

    Raises:
        GateworkError: the run cannot be started, or training failed.
    """
    return Run(train_experiment(experiment, reporter=reporter), experiment.paths.runs_dir)


def import_model(path: Path | str, experiment: Experiment, name: str | None = None, layers: Mapping[str, str] | None = None) -> Run:
    """Makes a finished run of a model that was trained elsewhere, as the command ``import`` does.

    Args:
        path: a file of Keras, tf-keras or torch, or ``.safetensors``; nothing in it is unpickled.
        experiment: from :func:`load`: the recipe whose model it is.
        name: of the new run; made from the file's name and the backend when not given.
        layers: the file's layer by the model's, where they are not told by name, place or kind.

    Raises:
        GateworkError: the file cannot be read, does not fit the model, or computes something else; nothing is written.
    """
    return Run(importing.import_model(path, experiment, name=name, layers=layers).folder, experiment.paths.runs_dir)
