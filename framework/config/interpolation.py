"""``${…}`` replaced by what it stands for, with every one that cannot be replaced reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from framework.config.location import display
from framework.config.yaml_text import Positioned
from framework.errors import Origin, Problem, SpecError, nearest

_RESOLVERS = ("size", "oc.env", "oc.select", "oc.decode", "oc.create", "oc.dict.keys", "oc.dict.values", "now", "hydra")


def resolved(config: DictConfig, locate: Callable[[str], Origin | None]) -> dict[str, Any]:
    """The config as plain data.

    Args:
        config: the composed config.
        locate: where a key was set, for the messages.

    Raises:
        SpecError: with every interpolation that names nothing, and every value that is still ``???``.
    """
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError) as error:
        problems = list(_problems(config, config, "", locate))
        if not problems:
            raise
        raise SpecError(problems) from error
    return {str(key): value for key, value in plain.items()}


def is_grammatical(text: str) -> bool:
    """Whether every ``${`` of a text begins something that OmegaConf can read."""
    try:
        OmegaConf.create({"text": text})
    except GrammarParseError:
        return False
    return True


def ungrammatical(key: str, text: str, origin: Origin | None) -> Problem:
    """The problem of a text that is not grammatical."""
    hint = "a text that holds ${ itself is written \\${"
    return Problem(key, "the interpolation cannot be read", value=text, origin=origin, expected="${key} or ${size:NAME}", hint=hint)


def _problems(node: Any, root: DictConfig, path: str, locate: Callable[[str], Origin | None]) -> Iterator[Problem]:
    keys: list[Any] = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    for key in keys:
        below = f"{path}.{key}" if path else str(key)
        if OmegaConf.is_missing(node, key):
            yield Problem(below, "a value is required", value="???", origin=locate(below), hint=f"set it with {below}=…")
            continue
        try:
            value = node[key]
        except (OmegaConfBaseException, RecursionError) as error:
            plain: Any = OmegaConf.to_container(node, resolve=False)
            yield _problem(error, below, str(plain[key]), root, locate(below))
            continue
        if isinstance(value, (DictConfig, ListConfig)) and not OmegaConf.is_interpolation(node, key):
            yield from _problems(value, root, below, locate)


def _problem(error: BaseException, path: str, text: str, root: DictConfig, origin: Origin | None) -> Problem:
    first = str(error).splitlines()[0]
    match error:
        case InterpolationToMissingValueError():
            return Problem(path, "it stands for a value that is still required (???)", value=text, origin=origin)
        case InterpolationKeyError():
            name = _quoted(first)
            suggestion = nearest(name, list(_keys(OmegaConf.to_container(root, resolve=False))))
            return Problem(path, f"there is no key '{name}' to take the value from", value=text, origin=origin, suggestion=suggestion)
        case UnsupportedInterpolationType():
            name = first.rsplit(" ", 1)[-1]
            known = ", ".join(f"${{{resolver}:…}}" for resolver in _RESOLVERS)
            suggestion = nearest(name, _RESOLVERS)
            return Problem(path, f"unknown interpolation '${{{name}:…}}'", value=text, origin=origin, expected=known, suggestion=suggestion)
        case GrammarParseError():
            return ungrammatical(path, text, origin)
        case RecursionError():
            return Problem(path, "it stands for itself", value=text, origin=origin)
    reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", first).strip('"')
    return Problem(path, f"the interpolation has no value: {reason[:1].lower()}{reason[1:]}", value=text, origin=origin)


def _quoted(text: str) -> str:
    found = re.search(r"'([^']*)'", text)
    return found[1] if found else text


def _keys(plain: Any, path: str = "") -> Iterator[str]:
    if isinstance(plain, dict):
        for key, value in plain.items():
            below = f"{path}.{key}" if path else str(key)
            yield below
            yield from _keys(value, below)


def interpolation_problems(path: Path, content: Positioned, package: str) -> list[Problem]:
    """The problems of texts in a file with a ``${`` that begins nothing."""
    return [
        ungrammatical(key, node.value, Origin(display(path), node.line))
        for key, node in _texts(content, package)
        if not is_grammatical(node.value)
    ]


def _texts(node: Positioned, path: str) -> Iterator[tuple[str, Positioned]]:
    if isinstance(node.value, str) and "${" in node.value:
        yield path, node
    for name, child in node.children.items():
        yield from _texts(child, f"{path}.{name}" if path else name)
