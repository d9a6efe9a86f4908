#!/usr/bin/env python3
"""Measures Gatework against others, in turns in one process, and prints Markdown or JSON.

    .venv/bin/python scripts/benchmark.py gru                    # the layer: training step and forward pass
    .venv/bin/python scripts/benchmark.py memory                 # the layer: memory of a training step
    .venv/bin/python scripts/benchmark.py cost                   # the layer: time and memory against steps, batch and units
    .venv/bin/python scripts/benchmark.py step                   # a recipe's training step against plain loops by hand
    .venv/bin/python scripts/benchmark.py generate --run last    # tokens a second, one prompt and many at once
    .venv/bin/python scripts/benchmark.py translate --run last   # sentences a second, greedily and by beam search
    .venv/bin/python scripts/benchmark.py processes              # a training step of two processes against one of as many threads
    .venv/bin/python scripts/benchmark.py features               # features of images: speed, memory, and what a kill costs
    .venv/bin/python scripts/benchmark.py corpus                 # a text of 2 GB: memory, and time of the first and second start

Nothing is measured while the machine is busy with something else; what it is busy with is named. Memory that is freed is kept by the
process, and ways to compute are chosen by measuring, as in a run of Gatework; the former holds for all that is measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benchmarks import corpus, cost, features, generate, gru, memory, processes, step, translate
from benchmarks.conditions import as_in_a_run
from benchmarks.medians import medians
from benchmarks.quiet import require_quiet
from benchmarks.report import write
from stopping import end_with_children

SUBJECTS = {
    "gru": gru,
    "memory": memory,
    "cost": cost,
    "step": step,
    "generate": generate,
    "translate": translate,
    "processes": processes,
    "features": features,
    "corpus": corpus,
}


def main() -> int:
    """Runs one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--rounds", type=int, default=7, help="turns; medians are shown (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of the whole; medians of their figures are shown (%(default)s)")
    parser.add_argument("--shapes", help="gru, memory: only these, as batch,time,features,units separated by ';'")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16"), help="gru, memory: data type (torch only for bfloat16)"
    )
    parser.add_argument("--only", help="gru, memory, cost, step, translate: contestants, separated by commas")
    parser.add_argument("--recipe", default="text_generation", help="step, processes: the recipe (%(default)s)")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="key=value", help="step, processes, features, corpus: an override"
    )
    parser.add_argument("--megabytes", type=int, default=2000, help="corpus: size of the long text (%(default)s)")
    parser.add_argument("--run", default="last", help="generate, translate: the run to write with")
    parser.add_argument("--runs-dir", default="runs", help="generate, translate: folder of all runs")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--figure", type=Path, help="cost: also draw them into this PNG")
    parser.add_argument("--busy", action="store_true", help="measure although the machine is busy; the report says so")
    arguments = parser.parse_args()
    end_with_children()
    busy = require_quiet(arguments.busy)
    from framework.errors import GateworkError

    try:
        with as_in_a_run():
            rows = medians([SUBJECTS[arguments.subject].measure(arguments) for _ in range(arguments.repeat)])
    except GateworkError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write(arguments.subject, rows, busy, arguments.json)
    if arguments.figure is not None and arguments.subject == "cost":
        cost.draw(rows, arguments.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
