"""Compare runs: the settings in which they differ, what they came to, and their curves over one another as a picture.

gatework compare RUN RUN …
gatework compare runs/.multirun/0f6e59e9      all runs of a multirun or a search
gatework compare RUN RUN --plot FILE          the picture into FILE; without it into the multirun's folder, or beside the runs

Imports no backend and no MLflow.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from framework.errors import EXIT_DONE, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, its name, MLflow run id, last, or a multirun's folder")
    parser.add_argument("--plot", metavar="FILE", help="where the picture goes, a PNG file")
    parser.add_argument("--no-plot", action="store_true", help="draw nothing")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print settings, figures and curves as JSON; draws only with --plot")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.cli.warning import warn
    from framework.engine.many.compare import compare_runs, place_of_plot, runs_to_compare
    from framework.report.compare import plot_comparison, print_comparison
    from framework.secrets import conceal

    if arguments.plot and arguments.no_plot:
        raise InputError("--plot and --no-plot are both given; expected one of the two")
    if arguments.plot and Path(arguments.plot).suffix.lower() != ".png":
        raise InputError(f"--plot {arguments.plot}: expected a file that ends in .png")
    found = compare_runs(runs_to_compare(arguments.runs, arguments.runs_dir))
    for one in found.runs:
        if one.row.trouble is not None:
            warn(f"run {one.row.recipe}/{one.row.name}: {one.row.trouble}")
    if arguments.json:
        print(json.dumps(conceal(found.as_json()), indent=2, default=str))
    else:
        print_comparison(found)
    if arguments.no_plot or (arguments.json and not arguments.plot):
        return EXIT_DONE
    if not any(one.curves.get(found.metric) for one in found.runs):
        warn("none of the runs has a whole epoch yet: there is no curve to draw")
        return EXIT_DONE
    path = Path(arguments.plot) if arguments.plot else place_of_plot(arguments.runs, arguments.runs_dir)
    plot_comparison(path, found)
    if not arguments.json:
        print(f"curves: {path}")
    return EXIT_DONE
