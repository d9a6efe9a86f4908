"""Show that both backends compute the same from one YAML: weights, outputs, loss, gradients, the first steps, and text.

The table is kept in runs/.parity and, as a run, in MLflow. Ends with 1 where a tolerance is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from framework.cli.composing import add_config_arguments, load
from framework.errors import EXIT_DONE, EXIT_FAILED, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps to compare, on the same batches (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.engine.compare.parity import compare, measure_backends, table
    from framework.engine.compare.parity_record import parity_result, record_parity
    from framework.engine.compare.spec_file import spec_text
    from framework.report.parity import parity_lines
    from framework.tracking.environment import describe_environment

    if arguments.steps < 1:
        raise InputError(f"--steps is {arguments.steps}; expected at least 1")
    experiment = load(arguments.overrides, arguments.config_dir).experiment
    measured = measure_backends(experiment, arguments.steps)
    environment = describe_environment(Path.cwd())
    found = parity_result(experiment, measured, table(compare(*measured.values())), environment)
    print(spec_text(found) if arguments.json else "\n".join(parity_lines(found.rows)), end="" if arguments.json else "\n", flush=True)
    folder = record_parity(experiment, found, environment, lambda text: print(f"warning: {text}", file=sys.stderr))
    if not arguments.json:
        print(f"kept in {folder}")
    return EXIT_DONE if found.ok else EXIT_FAILED
