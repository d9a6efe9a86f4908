"""Make a run of the other backend from a trained run, or write its weights to a file of Keras or torch.

--to tensorflow|torch compares both models' outputs on a batch of the run's data, then writes the new run beside the other.
--export FILE.weights.h5|.keras|.pt|.pth|.torch.safetensors|.safetensors writes the weights alone (.keras: the whole model, of
Keras' own layers where they compute the same, so that it loads without Gatework).
"""

from __future__ import annotations

import argparse
import json

from framework.cli.next_steps import use_lines
from framework.errors import EXIT_DONE, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="with --to: where the run's data lies now, such as data.path=FILE"
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", metavar="BACKEND", help="torch or tensorflow: make a run of it")
    target.add_argument("--export", metavar="FILE", help="write the weights to a file; its ending names the format")
    parser.add_argument("--name", help="name of the new run; <name>-<backend> when not given")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.cli.warning import warn

    if arguments.export:
        if arguments.overrides:
            raise InputError(f"'{arguments.overrides[0]}': --export reads no data, so there is nothing to say of it")
        from framework.engine.model.export import export_run

        exported = export_run(arguments.run, arguments.export, arguments.runs_dir, warn)
        if arguments.json:
            print(json.dumps({"run": str(exported.source.path), "file": arguments.export, "notes": list(exported.notes)}, indent=2))
        else:
            print("\n".join([f"wrote the weights of {exported.source.path} to {arguments.export}", *exported.notes]))
        return EXIT_DONE
    from framework.engine.model.convert import convert_run

    converted = convert_run(arguments.run, arguments.to, arguments.name, arguments.runs_dir, warn, arguments.overrides)
    if arguments.json:
        found = {"run": str(converted.folder.path), "source": str(converted.source.path), "difference": converted.difference}
        print(json.dumps({**found, "notes": list(converted.notes)}, indent=2))
        return EXIT_DONE
    print(f"{converted.folder.path}: outputs differ by at most {converted.difference:.1e} of the largest from {converted.source.path}")
    for note in converted.notes:
        print(f"note: {note}")
    print("\n".join(use_lines(converted.folder)))
    return EXIT_DONE
