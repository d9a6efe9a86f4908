"""Tell who set a value: which file and line, group choice or override, and what it took the place of. Imports no backend."""

from __future__ import annotations

import argparse

from framework.cli.composing import add_config_arguments
from framework.config.compose import compose
from framework.errors import EXIT_DONE, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("key", help="dotted key, such as model.layers.gru.units")
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.cli.answer import answer_why, print_answer

    if "=" in arguments.key:
        raise InputError(f"'{arguments.key}' is an override; name the key first: gatework why KEY recipe=…")
    composed = compose(arguments.overrides, arguments.config_dir)
    print_answer(answer_why(arguments.key, composed), as_json=arguments.json)
    return EXIT_DONE
