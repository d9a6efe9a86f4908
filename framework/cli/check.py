"""Check a config: every problem at once, with file and line, what was expected and the nearest valid name. Imports no backend."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from framework.cli.composing import add_config_arguments
from framework.config.compose import Composed, compose
from framework.errors import EXIT_DONE, Problem, SpecError
from framework.secrets import conceal, concealed
from framework.spec.experiment import Experiment, PathsSpec
from framework.spec.problems import Locate
from framework.spec.validate import valid_section

_STAND_IN = 3
"""Number that stands for a size that only the data knows, while shapes are checked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    try:
        experiment, parameters, notes = _checked(arguments.overrides, arguments.config_dir)
    except SpecError as error:
        if not arguments.json:
            raise
        print(json.dumps({"valid": False, "problems": [_as_json(asdict(problem)) for problem in error.problems]}, indent=2))
        return error.exit_code
    if arguments.json:
        print(json.dumps({"valid": True, "recipe": experiment.recipe, "parameters": parameters, "problems": [], "notes": notes}, indent=2))
        return EXIT_DONE
    count = "" if parameters is None else f", {parameters:,} parameters"
    print(
        f"recipe {experiment.recipe}: the config is valid ({len(experiment.model.layers)} layers{count}, backend {experiment.backend.name})"
    )
    for note in notes:
        print(f"note: {note}")
    return EXIT_DONE


def _checked(overrides: list[str], config_dirs: list[Path]) -> tuple[Experiment, int | None, list[str]]:
    """The experiment with what :func:`check_model` tells of it.

    Raises:
        SpecError: with every problem of the config, of its model's shapes, and of the files that it names.
    """
    composed = compose(overrides, config_dirs)
    problems: list[Problem] = []
    try:
        experiment = composed.experiment()
        parameters, notes = check_model(experiment, composed.locate)
    except SpecError as error:
        problems += error.problems
    problems += _data_problems(composed)
    if problems:
        raise SpecError(problems)
    return experiment, parameters, notes


def _data_problems(composed: Composed) -> list[Problem]:
    """What is wrong with the files that the config names, whatever else is wrong with it."""
    data, paths = (valid_section(composed.mapping, key, composed.problems, composed.written) for key in ("data", "paths"))
    if data is None or not data.at_hand:
        return []
    from framework.data.look import look

    found = look(data, paths or PathsSpec())
    return [replace(problem, origin=composed.locate(problem.path or "data.path")) for problem in found]


def check_model(experiment: Experiment, locate: Locate) -> tuple[int | None, list[str]]:
    """Checks shapes too; sizes that only the data knows are given a stand-in.

    Returns:
        The number of parameters, where the sizes are declared; and what a person should know before training, such as what the model
        will not be able to do.
    """
    from framework.engine.run.planning import plan_experiment, with_sizes
    from framework.tasks.decoding import obstacle_lines
    from framework.tasks.known import task_of

    known = experiment.data.known_sizes()
    sizes = {name: known.get(name, _STAND_IN) for name in experiment.data.size_names}
    plan = plan_experiment(with_sizes(experiment, sizes, locate), sizes, locate)
    notes = task_of(experiment).hints(plan, experiment)
    notes += [f"the model can be trained and measured, and cannot generate: {obstacle}" for obstacle in obstacle_lines(experiment, plan)]
    return plan.parameters if set(known) >= set(sizes) else None, notes


def _as_json(problem: dict[str, Any]) -> dict[str, Any]:
    return {key: concealed(value) if isinstance(value, str) else conceal(value) for key, value in problem.items() if value is not None}
