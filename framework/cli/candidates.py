"""What a word of a command line may go on to be: verbs, options, groups and their choices, keys, runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from framework.cli.main import VERBS, parser_of
from framework.config.location import SearchPath
from framework.errors import GateworkError

_RECIPES = ("--recipe", "--from")
"""Options whose value is a recipe's name."""


def candidates(words: Sequence[str]) -> list[str]:
    """Whole words that the last of ``words`` may become, sorted; those that end with ``=`` or ``.`` go on.

    Args:
        words: behind the command's name, the last one begun or empty.
    """
    *before, begun = words or [""]
    found = _verbs() if not before else _behind(before, begun)
    return sorted({word for word in found if word.startswith(begun)})


def _verbs() -> Iterator[str]:
    yield from VERBS
    yield from ("--help", "--version")


def _behind(before: Sequence[str], begun: str) -> Iterator[str]:
    verb = before[0]
    if verb not in VERBS:
        return
    actions = parser_of(verb)._actions
    options = {option: action for action in actions for option in action.option_strings}
    option, equals, _ = begun.partition("=")
    if equals and option in options:
        yield from (f"{option}={value}" for value in _values(option, options[option]))
        return
    asked = options.get(before[-1])
    if asked is not None and asked.nargs is None:
        yield from _values(before[-1], asked)
        return
    if begun.startswith("-"):
        yield from options
        return
    positional = {action.dest: action for action in actions if not action.option_strings}
    if "runs" in positional or ("run" in positional and all("=" in word or word.startswith("-") for word in before[1:])):
        yield from _runs()
        return
    for action in positional.values():
        yield from map(str, action.choices or ())
    if "overrides" in positional:
        yield from _overrides(before[1:], begun)


def _values(option: str, action: argparse.Action) -> Iterator[str]:
    yield from map(str, action.choices or ())
    if option in _RECIPES:
        yield from SearchPath.of().options("recipe")
    if option == "--format":
        from framework.backends.base.exporting import FORMATS  # NumPy, which completing a word otherwise does without

        yield from FORMATS
    if option in ("--to", "--backend"):
        yield from SearchPath.of().options("backend")


def _runs() -> Iterator[str]:
    from framework.engine.run.folder import all_runs

    with suppress(GateworkError):
        for run in all_runs():
            yield f"{run.recipe}/{run.name}"
            yield run.name
    if Path("runs", "last").is_file():
        yield "last"


def _overrides(before: Sequence[str], begun: str) -> Iterator[str]:
    search = SearchPath.of()
    key, equals, _ = begun.partition("=")
    if equals:
        if search.is_group(key):
            yield from (f"{key}={option}" for option in search.options(key) if "/" not in option)
        return
    yield from (f"{group}=" for group in search.groups())
    recipe = next((word for word in before if word.startswith("recipe=")), None)
    if recipe is not None:
        yield from _keys([word for word in before if "=" in word and not word.startswith("-")], begun)


def _keys(overrides: Sequence[str], begun: str) -> Iterator[str]:
    """Keys of the composed config, as far as their next dot."""
    from framework.config.compose import compose

    with suppress(GateworkError):
        node: Any = compose(list(overrides)).mapping
        path = begun.split(".")[:-1]
        for part in path:
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping):
            for key, value in node.items():
                yield ".".join([*path, str(key)]) + ("." if isinstance(value, Mapping) else "=")
