"""Show that both backends compute the same from one YAML: weights, outputs, loss, gradients, the first steps, and text.

Ends with 1 where a tolerance is missed.
"""

from __future__ import annotations

import argparse
import json

from framework.cli.composing import add_config_arguments, load
from framework.errors import EXIT_DONE, EXIT_FAILED, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps to compare, on the same batches (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.engine.parity import compare_backends, summary

    if arguments.steps < 1:
        raise InputError(f"--steps is {arguments.steps}; expected at least 1")
    loaded = load(arguments.overrides, arguments.config_dir)
    rows = summary(compare_backends(loaded.experiment, arguments.steps))
    missed = [row for row in rows if not row["ok"]]
    if arguments.json:
        print(json.dumps({"ok": not missed, "rows": rows}, indent=2))
    else:
        width = max(len(f"{row['what']} {row['name']}") for row in rows)
        for row in rows:
            bound = f"tolerance {row['tolerance']:.0e}" if row["tolerance"] else "must be equal"
            print(f"{row['what'] + ' ' + row['name']:<{width}}  {row['difference']:.1e}  {bound}  {'ok' if row['ok'] else 'MISSED'}")
        print(f"{len(rows) - len(missed)} of {len(rows)} agree")
    return EXIT_FAILED if missed else EXIT_DONE
