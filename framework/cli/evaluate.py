"""Measure a trained model: loss in nats a token, perplexity and the rest, on its held-out data, or on its training data.

Where its task has scores, such as BLEU, held-out examples are predicted and scored too, and the best and worst of them written to
evaluations/ in the run's folder.

gatework evaluate last
gatework evaluate last data.path=other.txt      on all of another text, read with the run's own vocabulary
"""

from __future__ import annotations

import argparse
import json

from framework.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="other data, such as data.path=FILE, where the data lies now, or how to decode"
    )
    parser.add_argument("--split", default="auto", help="part of its data: train, validation, test …; auto: validation where there is one")
    parser.add_argument("--no-scores", action="store_true", help="measure the loss alone, and predict nothing, which takes longer")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from framework.cli.warning import warn
    from framework.engine.model.evaluate import evaluate_run
    from framework.report.preparing import preparation_progress

    with preparation_progress(Console(stderr=True)):
        result = evaluate_run(arguments.run, arguments.split, arguments.runs_dir, warn, arguments.overrides, not arguments.no_scores)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        signatures = result.pop("signatures", {})
        print(", ".join(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in result.items()))
        for name, signature in signatures.items():
            print(f"  {name}: {signature}")
    return EXIT_DONE
