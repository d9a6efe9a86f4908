"""Write an own recipe, model and data YAML, made from a recipe that is there, and say what to type next.

gatework new mine --from text_generation data.path=my.txt
gatework new mine --from translation_corrected data.source_path=train.de data.target_path=train.en

They are written to ./configs; in a checkout of Gatework, whose configs are its own, to ./own_configs. Both are found without another word.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from framework.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("name", help="name of the new recipe")
    parser.add_argument("files", nargs="*", metavar="data.KEY=FILE", help="where your own data lies, such as data.path=my.txt")
    parser.add_argument("--from", dest="source", default="text_generation", metavar="RECIPE", help="recipe to begin with (%(default)s)")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help="folder to write to (./configs; in a checkout ./own_configs)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.config.new import new_experiment
    from framework.console import typed_command

    begun = new_experiment(arguments.name, arguments.source, arguments.into, arguments.files, typed_command())
    for path in begun.written:
        print(f"wrote {path}")
    if begun.missing:
        data = next(path for path in begun.written if path.parent.name == "data")
        print(f"first say in {data} where your data lies, or add {begun.missing} to each command")
    print("next:")
    for command in begun.commands:
        print(f"    {command}")
    return EXIT_DONE
