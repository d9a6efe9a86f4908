"""A trained run, measured again: its loss, and the scores of what it predicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from framework.data.prepared import PreparedData
from framework.engine.model.opening import built, trained_model
from framework.engine.model.run_data import RunData, read_choices, read_run_data
from framework.engine.run.evaluation_page import write_evaluation
from framework.engine.run.folder import RunFolder, find_run
from framework.engine.run.planning import plan_experiment
from framework.engine.run.scoring import Scored, score_examples
from framework.errors import DataError, InputError, RunError
from framework.spec.decoding import DecodingSpec
from framework.tasks.known import task_of
from framework.tasks.model import Model

WHOLE = "whole"
"""The part that other data than the run's is."""

_DECODING = tuple(f"decoding.{name}" for name in DecodingSpec.model_fields)


@dataclass(frozen=True)
class Measured:
    """What was found on one part of the data.

    Attributes:
        figures: ``loss`` (mean over the targets; nats a token for a language model), the task's other units, and its scores.
        signatures: what makes a score comparable, by its name.
        scored: the predictions that the scores are of; None where none were made.
    """

    figures: dict[str, float]
    signatures: dict[str, str]
    scored: Scored | None


def measure_part(model: Model, data: PreparedData, split: str, scores: bool = True) -> Measured:
    """Loss and scores of a model on one part of data.

    Args:
        model: trained.
        data: prepared with the model's processor.
        split: the part.
        scores: whether its examples are predicted and scored too, where the task has scores.

    Raises:
        InputError: there is no such part, or an extra that the scores need is not installed.
    """
    task = task_of(model.experiment)
    totals = model.trainee.evaluate(data.split(split))
    figures = {"loss": totals.loss, **task.describe(totals, data)}
    examples = data.examples.get(split, ())
    if not scores or not task.scores or not examples:
        return Measured(figures, {}, None)
    scored = score_examples(task, model.knowing(data), list(examples))
    figures.update({name: one.value for name, one in scored.figures.items()})
    return Measured(figures, {name: one.signature for name, one in scored.figures.items() if one.signature}, scored)


def evaluate_run(
    name: str,
    split: str = "auto",
    runs_dir: str = "runs",
    warn: Callable[[str], None] = warnings.warn,
    overrides: Sequence[str] = (),
    scores: bool = True,
) -> dict[str, Any]:
    """Loss and scores of a run's model on one part of its data, or on all of other data; read with the run's own processor.

    A table of its best and worst predictions is written into the run's folder, ``evaluations/<split>.md``; and a sheet of photos with
    their captions, ``evaluations/<split>.png``.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        split: a part of its own data, such as ``train``, ``validation`` or ``test``; ``auto``: validation where there is one, else train.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.
        overrides: what to read, such as ``data.path=other.txt``, the run's own data when not given; and other settings of decoding, such
            as ``decoding.strategy=beam``.
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
    given = read_choices(overrides, model.experiment.data, _DECODING)
    found = read_run_data(folder, model.experiment, model.processor, given, runs_dir, f"gatework evaluate {name}")
    chosen = _part(folder, found, split)
    part = "train" if chosen == WHOLE else chosen
    steps = found.data.split(part).steps
    plan = model.plan if found.own else plan_experiment(found.experiment, model.processor.sizes)
    trained = built(replace(model, experiment=found.experiment, plan=plan))
    measured = measure_part(trained, found.data, part, scores and chosen != "train")
    if measured.scored is not None:
        try:
            write_evaluation(folder, chosen, measured.scored)
        except (RunError, DataError) as error:  # measured all the same
            warn(str(error))
    result = {"run": str(folder.path), "data": found.data.source, "split": chosen, "batches": steps, **measured.figures}
    return {**result, **({"signatures": measured.signatures} if measured.signatures else {})}


def _part(folder: RunFolder, found: RunData, split: str) -> str:
    if not found.own:
        if split != "auto":
            raise InputError(f"--split {split} is a part of the run's own data; all of other data is measured")
        return WHOLE
    if split == "auto":
        split = "train" if found.data.validation is None else "validation"
    if split == "validation" and found.data.validation is None:
        raise InputError(f"run {folder.path} was trained with nothing held out (data.validation_fraction=0); ask for --split train")
    return split
