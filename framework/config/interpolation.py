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
from framework.errors import Origin, Problem, nearest

_RESOLVERS = ("size", "oc.env", "oc.select", "oc.decode", "oc.create", "oc.dict.keys", "oc.dict.values", "now")

_OF_HYDRA = re.compile(r"\$\{\s*hydra\s*:")


def resolved(config: DictConfig, locate: Callable[[str], Origin | None]) -> tuple[dict[str, Any], list[Problem]]:
    """The config as plain data, as far as it can be resolved.

    Args:
        config: the composed config.
        locate: where a key was set, for the messages.

    Returns:
        The data, and every interpolation that names nothing and every value that is still ``???``: these are in the data as they are
        written.
    """
    problems: list[Problem] = []
    try:
        if _asks_hydra(OmegaConf.to_container(config, resolve=False)):
            raise UnsupportedInterpolationType("hydra")
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError):
        plain = _partly(config, config, "", locate, problems)
        if not problems:
            raise
    return {str(key): value for key, value in plain.items()}, problems


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


def _partly(node: Any, root: DictConfig, path: str, locate: Callable[[str], Origin | None], problems: list[Problem]) -> Any:
    """A mapping or list as plain data; what cannot be resolved stays as it is written, and its problem is added."""
    raw: Any = OmegaConf.to_container(node, resolve=False)
    keys: list[Any] = list(raw) if isinstance(raw, dict) else list(range(len(raw)))
    for key in keys:
        below = f"{path}.{key}" if path else str(key)
        if OmegaConf.is_missing(node, key):
            problems.append(Problem(below, "a value is required", value="???", origin=locate(below), hint=f"set it with {below}=…"))
            continue
        try:
            if isinstance(raw[key], str) and _asks_hydra(raw[key]):
                raise UnsupportedInterpolationType("hydra")
            value = node[key]
        except (OmegaConfBaseException, RecursionError) as error:
            problems.append(_problem(error, below, str(raw[key]), root, locate(below)))
            continue
        if not isinstance(value, (DictConfig, ListConfig)):
            raw[key] = value
        elif not OmegaConf.is_interpolation(node, key):
            raw[key] = _partly(value, root, below, locate, problems)
        else:
            raw[key] = _elsewhere(value)
    return raw


def _elsewhere(node: Any) -> Any:
    """What an interpolation of a whole mapping or list stands for; its own problems are told where it stands."""
    try:
        return OmegaConf.to_container(node, resolve=True)
    except (OmegaConfBaseException, RecursionError):
        return OmegaConf.to_container(node, resolve=False)


def _problem(error: BaseException, path: str, text: str, root: DictConfig, origin: Origin | None) -> Problem:
    first = str(error).splitlines()[0]
    match error:
        case InterpolationToMissingValueError():
            return Problem(path, "it stands for a value that is still required (???)", value=text, origin=origin)
        case InterpolationKeyError():
            name = _quoted(first)
            suggestion = nearest(name, list(_keys(OmegaConf.to_container(root, resolve=False))))
            return Problem(path, f"there is no key '{name}' to take the value from", value=text, origin=origin, suggestion=suggestion)
        case _ if _asks_hydra(text):
            known = ", ".join(f"${{{resolver}:…}}" for resolver in _RESOLVERS)
            return Problem(path, "Hydra's own values cannot be used here", value=text, origin=origin, expected=known)
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


def _asks_hydra(plain: Any) -> bool:
    """Whether ``${hydra:…}`` is in a text, or in one of nested data: Hydra answers in some processes only."""
    if isinstance(plain, str):
        return _OF_HYDRA.search(plain) is not None
    parts = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ()
    return any(_asks_hydra(part) for part in parts)


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
