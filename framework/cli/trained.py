"""What the verbs that ask a trained model have in common: how it is named, where it runs, and how it is opened."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from framework.decoding.precision import PRECISIONS
from framework.errors import GateworkError, InputError

if TYPE_CHECKING:
    from framework.tasks.model import Model
    from framework.tasks.task import Task


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside RUN, which a verb puts first itself."""
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws (%(default)s)")
    parser.add_argument("--backend", choices=("torch", "tensorflow"), help="backend to run on; the run's own when not given")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of large products: bfloat16 and int8 (torch only) read less memory; the loss they cost is told (%(default)s)",
    )
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")


def open_trained(arguments: argparse.Namespace) -> tuple[Model, Task]:
    """The model of the run that is named, and its task.

    Raises:
        InputError: the seed is below 0.
        RunError: there is no such run, or it has no model yet.
    """
    from framework.cli.warning import warn
    from framework.engine.model.opening import open_model
    from framework.engine.run.folder import find_run
    from framework.tasks.known import task_of

    if arguments.seed < 0:
        raise InputError(f"--seed is {arguments.seed}; expected 0 or more")
    model = open_model(find_run(arguments.run, arguments.runs_dir), arguments.backend, warn, arguments.precision)
    return model, task_of(model.experiment)


def tell_precision(arguments: argparse.Namespace, model: Model) -> None:
    """Says, of another precision than float32, what it costs: its loss beside float32's; or why that could not be measured."""
    if arguments.precision == "float32":
        return
    from framework.engine.model.lower_precision import precision_loss
    from framework.engine.run.folder import find_run

    try:
        found = str(precision_loss(model, find_run(arguments.run, arguments.runs_dir), arguments.runs_dir))
    except GateworkError as error:
        found = f"{arguments.precision}: its loss beside float32's could not be measured: {error}"
    print(found, file=sys.stderr)
