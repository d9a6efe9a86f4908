"""What a person can do next with the run that has just ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from framework.config.compose import Composed
from framework.config.location import display, own_folder, shipped_configs, typed_path
from framework.console import typed_command
from framework.engine.run.folder import RunFolder, find_run
from framework.errors import RunError
from framework.spec.experiment import LAST, Experiment
from framework.tasks.known import task_of


def next_lines(run: RunFolder, composed: Composed, experiment: Experiment) -> Iterator[str]:
    """Where the report is, and commands that can be typed as they stand: to use, measure and understand the model, and to begin an own one.

    Args:
        run: has finished.
        composed: its config, as it was asked for.
        experiment: the same, validated.
    """
    command, name = typed_command(), _as_typed(run)
    configs = "".join(f" --config-dir {typed_path(folder)}" for folder in composed.search.own if folder != own_folder().resolve())
    yield f"report: {display(run.path / 'report.md')}"
    yield "next:"
    yield f"  {command} {task_of(experiment).use.format(run=name)}"
    yield f"  {command} evaluate {name}"
    yield f"  {command} explain{configs} {shlex.join(composed.overrides)}"
    recipe = str(composed.choices["recipe"])
    if _is_shipped(recipe, composed) and experiment.data.sources:
        yield f"  {command} new mine --from {recipe} {experiment.data.own}"


def _is_shipped(recipe: str, composed: Composed) -> bool:
    file = composed.search.find(f"recipe/{recipe}")
    return file is not None and file.is_relative_to(shipped_configs())


def _as_typed(run: RunFolder) -> str:
    with suppress(RunError):
        if find_run(LAST).path == run.path:
            return LAST
    return typed_path(run.path)
