"""A trained run's loss, measured again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from framework.data.batches import Batches
from framework.engine.folder import RunFolder, find_run
from framework.engine.planning import plan_experiment
from framework.engine.run_data import RunData, read_choices, read_run_data
from framework.engine.text import TextGenerator, open_model
from framework.errors import InputError
from framework.tasks.task import TASKS

WHOLE = "whole"
"""The part that other data than the run's is."""


def evaluate_run(
    name: str,
    split: str = "auto",
    runs_dir: str = "runs",
    warn: Callable[[str], None] = warnings.warn,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Loss of a run's model on one part of its data, or on all of other data; read with the run's own vocabulary.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        split: of its own data ``train``, ``validation``, or ``auto``: validation where there is one.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.
        overrides: what to read, such as ``data.path=other.txt``; the run's own data when not given.

    Returns:
        ``run``, ``data`` (where it was read), ``split``, ``batches``, ``loss`` in nats a token, and the task's other units.

    Raises:
        RunError: the data is not what the run was trained on any more.
        InputError: there is no held-out part; or the run's config names files that its user may not mean to be read.
        DataError: the data cannot be read, or has tokens that the vocabulary lacks.
    """
    folder = find_run(name, runs_dir)
    model = open_model(folder, warn)
    found = read_run_data(folder, model.experiment, model.vocabulary, read_choices(overrides), runs_dir, f"gatework evaluate {name}")
    chosen, batches = _part(folder, found, split)
    if not found.own:
        model = replace(model, experiment=found.experiment, plan=plan_experiment(found.experiment, {}))
    totals = TextGenerator(model).trainee.evaluate(batches)
    metrics = TASKS[model.experiment.task.kind].describe(totals, found.data)
    return {"run": str(folder.path), "data": found.data.source, "split": chosen, "batches": batches.steps, "loss": totals.loss, **metrics}


def _part(folder: RunFolder, found: RunData, split: str) -> tuple[str, Batches]:
    if not found.own:
        if split != "auto":
            raise InputError(f"--split {split} is a part of the run's own data; all of other data is measured")
        return WHOLE, found.data.train
    validation = found.data.validation
    if split == "train" or (split == "auto" and validation is None):
        return "train", found.data.train
    if validation is None:
        raise InputError(f"run {folder.path} was trained with nothing held out (data.validation_fraction=0); ask for --split train")
    return "validation", validation
