"""What a person can do next with the run that has just ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from framework.config.compose import Composed
from framework.config.location import display, own_folder, shipped_configs, typed_path
from framework.console import typed_command
from framework.engine.many.judged import task_of_run
from framework.engine.run.folder import RunFolder, find_run
from framework.errors import RunError
from framework.spec.experiment import LAST, Experiment
from framework.tasks.task import Task
from framework.tracking.note import Note


def next_lines(run: RunFolder, composed: Composed, experiment: Experiment) -> Iterator[str]:
    """Where the report is, and commands that can be typed as they stand: to use, measure and understand the model, and to begin an own one.

    Args:
        run: has finished.
        composed: its config, as it was asked for.
        experiment: the same, validated.
    """
    command = typed_command()
    configs = "".join(f" --config-dir {typed_path(folder)}" for folder in composed.search.own if folder != own_folder().resolve())
    yield f"report: {display(run.path / 'report.md')}"
    if registered := registered_model(run):
        yield f"registered: {registered}"
    yield from use_lines(run)
    yield f"  {command} explain{configs} {shlex.join(composed.overrides)}"
    recipe = str(composed.choices["recipe"])
    if _is_shipped(recipe, composed) and experiment.data.sources:
        yield f"  {command} new mine --from {recipe} {experiment.data.own}"


def use_lines(run: RunFolder) -> Iterator[str]:
    """Commands that use and measure a run's model."""
    command, name = typed_command(), _as_typed(run)
    yield "next:"
    yield f"  {command} {use_of(run).format(run=name)}"
    yield f"  {command} evaluate {name}"
    if registered := registered_model(run):
        yield f"  {command} serve {registered}"


def use_of(run: RunFolder) -> str:
    """What a person types behind ``gatework`` to use a run, with ``{run}`` for it."""
    return (task_of_run(run) or Task).use


def registered_model(run: RunFolder) -> str | None:
    """The address of a run's model in MLflow's registry, such as ``models:/verse/1``; None where it is not registered."""
    model = Note(run.path).get("model") or {}
    return f"models:/{model['registered_as']}/{model['version']}" if "version" in model else None


def _is_shipped(recipe: str, composed: Composed) -> bool:
    file = composed.search.find(f"recipe/{recipe}")
    return file is not None and file.is_relative_to(shipped_configs())


def _as_typed(run: RunFolder) -> str:
    with suppress(RunError):
        if find_run(LAST).path == run.path:
            return LAST
    return typed_path(run.path)
