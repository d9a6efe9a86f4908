"""Show what a config builds. Imports no backend and downloads nothing, but for --proof.

Each layer's shape, parameters, operations and memory, and for each GRU whether it runs on cuDNN, and every reason why not.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from framework.cli.composing import Loaded, add_config_arguments, load
from framework.errors import EXIT_DONE, DataError

if TYPE_CHECKING:
    from framework.engine.compare.proof import Proof


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)
    parser.add_argument("--proof", action="store_true", help="also build the model, run one batch, and tell which kernel each GRU ran on")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from framework.engine.run.planning import plan_only, with_lengths, with_sizes
    from framework.engine.run.prepare import known_data
    from framework.report.explain import explain_json, print_explanation
    from framework.report.preparing import preparation_progress

    loaded = load(arguments.overrides, arguments.config_dir)
    with preparation_progress(Console(stderr=True)):
        known = known_data(loaded.experiment)
    missing = [name for name in loaded.experiment.data.size_names if name not in known.sizes]
    if missing:
        names = ", ".join(missing)
        raise DataError(f"the size {names} is known only once the data is downloaded; declare it as data.declared_sizes.{missing[0]}=…")
    experiment = with_sizes(loaded.experiment, known.sizes, loaded.composed.locate)
    plan = plan_only(experiment, loaded.composed.locate)
    costs = plan_only(with_lengths(experiment, known.lengths))
    if arguments.json:
        answer = explain_json(experiment, plan, costs, known.sizes, known.source)
        if arguments.proof:
            answer["proof"] = {one.layer: {"eligible": one.eligible, "kernel": one.kernel} for one in _proofs(loaded)}
        print(json.dumps(answer, indent=2))
        return EXIT_DONE
    print_explanation(experiment, plan, costs, known.sizes, known.source)
    for one in _proofs(loaded) if arguments.proof else ():
        print(f"proof {one.layer}: verdict {'cuDNN on a GPU' if one.eligible else 'not cuDNN'}; ran here on {one.kernel}")
    return EXIT_DONE


def _proofs(loaded: Loaded) -> list[Proof]:
    from framework.engine.compare.proof import prove_verdicts

    return prove_verdicts(loaded.experiment, loaded.composed.locate)
