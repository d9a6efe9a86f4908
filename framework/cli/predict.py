"""Predict with a trained model, whatever its task: rows in, a prediction for each out, in order.

gatework predict last "Good morning"            one row of a model that reads one text
gatework predict last < rows.txt > answers.txt  a row a line: plain text, or a JSON object of the model's columns
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framework.cli.lines import add_file_argument, given_lines
from framework.cli.trained import add_model_arguments, open_trained, tell_precision
from framework.errors import EXIT_DONE, InputError, nearest

if TYPE_CHECKING:
    from framework.tasks.task import Interface

_READERS = {"string": str, "long": int, "double": float}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="text or JSON object; standard input, a row a line, when none is given")
    add_file_argument(parser)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the task, such as length=200")
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object a line, also where there is one text to print")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    model, task = open_trained(arguments)
    interface = task.interface(model.experiment)
    rows = [_row(line, interface) for line in given_lines(arguments.rows, arguments.file)]
    settings = dict(_setting(word, interface.settings) for word in arguments.set)
    for prediction in task.predict(model, rows, settings, arguments.seed):
        print(_shown(prediction, arguments.json))
    tell_precision(arguments, model)
    return EXIT_DONE


def _row(line: str, interface: Interface) -> Mapping[str, Any]:
    """A row as JSON, or plain text."""
    if line.lstrip().startswith("{"):
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            found = None
        if isinstance(found, dict):
            return found
    if interface.plain is None:
        raise InputError(f"a row is {line!r}; expected a JSON object with {', '.join(interface.inputs)}")
    return {interface.plain: line}


def _setting(word: str, known: Mapping[str, str]) -> tuple[str, Any]:
    name, sign, value = word.partition("=")
    if not sign or name not in known:
        close = nearest(name, known)
        guess = f"; did you mean '{close}'?" if close else ""
        raise InputError(f"--set {word}: expected NAME=VALUE with one of {', '.join(known) or 'no settings'}{guess}")
    try:
        return name, _READERS[known[name]](value)
    except ValueError as error:
        raise InputError(f"--set {word}: {name} is of type {known[name]}") from error


def _shown(prediction: Mapping[str, Any], as_json: bool) -> str:
    values: Sequence[Any] = list(prediction.values())
    if len(values) == 1 and isinstance(values[0], str) and not as_json:
        return values[0]
    return json.dumps(dict(prediction), ensure_ascii=False)
