"""A trained run's loss, measured again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from framework.data.prepare import prepare
from framework.engine.folder import find_run
from framework.engine.text import TextGenerator
from framework.errors import InputError
from framework.tasks.task import TASKS


def evaluate_run(name: str, split: str = "auto", runs_dir: str = "runs", warn: Callable[[str], None] = warnings.warn) -> dict[str, Any]:
    """Loss of a run's model on one part of its data.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        split: ``train``, ``validation``, or ``auto``: validation where there is one.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.

    Returns:
        ``split``, ``batches``, ``loss`` in nats a token, and the task's other units.

    Raises:
        InputError: there is no held-out part.
    """
    folder = find_run(name, runs_dir)
    generator = TextGenerator.of_run(folder, warn=warn)
    experiment = generator.model.experiment
    data = prepare(experiment.data, experiment.paths, experiment.seed)
    chosen = split if split != "auto" else "train" if data.validation is None else "validation"
    batches = data.train if chosen == "train" else data.validation
    if batches is None:
        raise InputError(f"run {folder.path} holds no data out; set data.validation_fraction, or ask for --split train")
    loss = generator.trainee.evaluate(batches)
    metrics = TASKS[experiment.task.kind].training_metrics(loss, data)
    return {"run": str(folder.path), "split": chosen, "batches": batches.steps, "loss": loss, **metrics}
