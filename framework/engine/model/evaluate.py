"""A trained run, measured again: its loss, and the scores of what it predicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from framework.data.batches import Batches
from framework.engine.model.evaluation_page import evaluation_page
from framework.engine.model.opening import built, trained_model
from framework.engine.model.run_data import RunData, read_choices, read_run_data
from framework.engine.model.scoring import score_examples
from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder, find_run
from framework.engine.run.planning import plan_experiment
from framework.errors import InputError, RunError
from framework.tasks.known import task_of

WHOLE = "whole"
"""The part that other data than the run's is."""


def evaluate_run(
    name: str,
    split: str = "auto",
    runs_dir: str = "runs",
    warn: Callable[[str], None] = warnings.warn,
    overrides: Sequence[str] = (),
    scores: bool = True,
) -> dict[str, Any]:
    """Loss and scores of a run's model on one part of its data, or on all of other data; read with the run's own processor.

    A table of its best and worst predictions is written into the run's folder: ``evaluations/<split>.md``.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        split: a part of its own data, such as ``train``, ``validation`` or ``test``; ``auto``: validation where there is one, else train.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.
        overrides: what to read, such as ``data.path=other.txt``; the run's own data when not given.
        scores: whether predictions are made and scored too, where the task has scores and the data says what is right; of all but
            the sentences that it was trained on.

    Returns:
        ``run``, ``data`` (where it was read), ``split``, ``batches``, ``loss`` (mean over the
        targets; nats a token for a language model), the task's other units, and its scores, with ``signatures`` that make them
        comparable.

    Raises:
        RunError: the data is not what the run was trained on any more.
        InputError: there is no such part; or the run's config names files that its user may not mean to be read.
        DataError: the data cannot be read, or has what the processor cannot read.
    """
    folder = find_run(name, runs_dir)
    model = trained_model(folder, warn)
    given = read_choices(overrides, model.experiment.data)
    found = read_run_data(folder, model.experiment, model.processor, given, runs_dir, f"gatework evaluate {name}")
    chosen, batches = _part(folder, found, split)
    if not found.own:
        model = replace(model, experiment=found.experiment, plan=plan_experiment(found.experiment, model.processor.sizes))
    trained = built(model)
    task = task_of(model.experiment)
    totals = trained.trainee.evaluate(batches)
    result = {"run": str(folder.path), "data": found.data.source, "split": chosen, "batches": batches.steps, "loss": totals.loss}
    result.update(task.describe(totals, found.data))
    examples = found.data.examples.get("train" if chosen == WHOLE else chosen, ())
    if not scores or not task.scores or chosen == "train" or not examples:
        return result
    scored = score_examples(task, trained, list(examples))
    try:
        write_text(folder.evaluations / f"{chosen}.md", evaluation_page(folder.name, chosen, scored))
    except RunError as error:  # measured all the same
        warn(str(error))
    signatures = {name: one.signature for name, one in scored.figures.items() if one.signature}
    return {**result, **{name: one.value for name, one in scored.figures.items()}, **({"signatures": signatures} if signatures else {})}


def _part(folder: RunFolder, found: RunData, split: str) -> tuple[str, Batches]:
    if not found.own:
        if split != "auto":
            raise InputError(f"--split {split} is a part of the run's own data; all of other data is measured")
        return WHOLE, found.data.train
    if split == "auto":
        split = "train" if found.data.validation is None else "validation"
    if split == "validation" and found.data.validation is None:
        raise InputError(f"run {folder.path} was trained with nothing held out (data.validation_fraction=0); ask for --split train")
    return split, found.data.split(split)
