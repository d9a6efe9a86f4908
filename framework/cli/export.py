"""Write a trained run's model in a format that is used without Gatework, held against the trained model first.

gatework export last --format onnx            into <run>/exports/onnx, with a page and an example that runs there
gatework export last --format saved_model --output served
Outputs are compared on a batch of the run's own data; where that lies elsewhere now: data.path=FILE.
"""

from __future__ import annotations

import argparse
import json

from framework.backends.base.exporting import FORMATS
from framework.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="where the run's data lies now, such as data.path=FILE")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--output", metavar="DIR", help="folder to write; <run>/exports/<format> when not given")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.cli.warning import warn
    from framework.config.location import display
    from framework.engine.model.agreement import TOLERANCE
    from framework.engine.model.exporting import export_model

    found = export_model(arguments.run, arguments.format, arguments.output, arguments.runs_dir, warn, arguments.overrides)
    if arguments.json:
        numbers = {"deviation": found.deviation, "bound": TOLERANCE, "bytes": found.size, "seconds": round(found.seconds, 3)}
        places = {"folder": str(found.folder), "run": str(found.source.path), "format": found.format, "backend": found.backend}
        print(json.dumps({**places, "graphs": list(found.graphs), **numbers, "notes": list(found.notes)}, indent=2))
        return EXIT_DONE
    print(f"{display(found.folder)}: {', '.join(found.graphs)} as {found.format}, {found.size / 1e6:.1f} MB in {found.seconds:.1f} s")
    print(f"outputs differ from the trained model's by at most {found.deviation:.1e} of the largest (allowed: {TOLERANCE:.0e})")
    for note in found.notes:
        print(f"note: {note}")
    print(f"next: cd {display(found.folder)} && python example.py")
    return EXIT_DONE
