"""Show what a config builds. Imports no backend and downloads nothing, but for --proof.

Each layer's shape, parameters, operations and memory, and for each GRU whether it runs on cuDNN, and every reason why not.
"""

from __future__ import annotations

import argparse
import json

from framework.cli.composing import add_config_arguments, load
from framework.errors import EXIT_DONE, DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)
    parser.add_argument("--proof", action="store_true", help="also build the model, run one batch, and tell which kernel each GRU ran on")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.engine.run.planning import plan_only, with_sizes
    from framework.engine.run.prepare import local_sizes
    from framework.report.explain import explain_json, print_explanation

    loaded = load(arguments.overrides, arguments.config_dir)
    sizes, source = local_sizes(loaded.experiment)
    missing = [name for name in loaded.experiment.data.size_names if name not in sizes]
    if missing:
        names = ", ".join(missing)
        raise DataError(f"the size {names} is known only once the data is downloaded; declare it as data.declared_sizes.{missing[0]}=…")
    experiment = with_sizes(loaded.experiment, sizes, loaded.composed.locate)
    plan = plan_only(experiment, loaded.composed.locate)
    if arguments.json:
        print(json.dumps(explain_json(experiment, plan, sizes, source), indent=2))
    else:
        print_explanation(experiment, plan, sizes, source)
    if arguments.proof:
        from framework.engine.compare.proof import prove_verdicts

        for name, eligible, kernel in prove_verdicts(loaded.experiment, loaded.composed.locate):
            verdict = "cuDNN on a GPU" if eligible else "not cuDNN"
            print(f"proof {name}: verdict {verdict}; ran here on {kernel}")
    return EXIT_DONE
