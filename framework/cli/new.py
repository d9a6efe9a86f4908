"""Write an own recipe, model and data YAML to ./configs, made from a recipe that is there, with the launch command in the header."""

from __future__ import annotations

import argparse
from pathlib import Path

from framework.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("name", help="name of the new recipe")
    parser.add_argument("--from", dest="source", default="text_generation", metavar="RECIPE", help="recipe to begin with (%(default)s)")
    parser.add_argument("--into", type=Path, default=Path("configs"), metavar="DIR", help="folder to write to (./%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.config.new import new_experiment

    begun = new_experiment(arguments.name, arguments.source, arguments.into)
    for path in begun.written:
        print(f"wrote {path}")
    print("next: " + "; ".join(begun.commands))
    return EXIT_DONE
