"""A limit to what interpolations may grow into: ten lines of ``${…}${…}`` would otherwise stand for more than any memory holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from omegaconf import Container

MAX_INTERPOLATIONS = 3_000
"""Interpolations of a composition, each counted as often as it is looked at; a config has a few hundred."""

MAX_CHARACTERS = 1_000_000
"""Characters that all of them together stand for."""

MAX_VALUES = 20_000
"""Values that all of them together stand for."""


class Endless(BaseException):
    """Interpolations stand for too much. No ``Exception``: OmegaConf would take it for the failure of a single one.

    Attributes:
        key: dotted key of the value that was looked at.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass
class _Spent:
    interpolations: int = 0
    characters: int = 0
    values: int = 0
    outermost: str | None = None


_spent: ContextVar[_Spent | None] = ContextVar("spent", default=None)
_resolve = Container.resolve_parse_tree


@contextmanager
def limited_interpolations() -> Iterator[None]:
    """Counts what OmegaConf resolves within the context, and ends what would not end by itself.

    Raises:
        Endless: the limits are passed.
    """
    token = _spent.set(_Spent())
    Container.resolve_parse_tree = _counted  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Container.resolve_parse_tree = _resolve  # type: ignore[method-assign]
        _spent.reset(token)


def _counted(container: Container, parse_tree: Any, node: Any, memo: Any = None, key: Any = None) -> Any:
    spent = _spent.get()
    if spent is None:  # of another thread
        return _resolve(container, parse_tree, node, memo, key)
    outer = spent.outermost is None
    if outer:
        spent.outermost = str(node._get_full_key(None))
    try:
        value = _resolve(container, parse_tree, node, memo, key)
        spent.interpolations += 1
        plain = value._value() if hasattr(value, "_value") and not isinstance(value, Container) else value
        spent.characters += len(plain) if isinstance(plain, (str, bytes)) else 0
        spent.values += _count(plain, MAX_VALUES - spent.values)
        if spent.interpolations > MAX_INTERPOLATIONS or spent.characters > MAX_CHARACTERS or spent.values > MAX_VALUES:
            raise Endless(re.sub(r"\[(\d+)\]", r".\1", spent.outermost or ""))
        return value
    finally:
        if outer:
            spent.outermost = None


def _count(value: Any, room: int) -> int:
    """How many values there are, as far as there is room for them."""
    if isinstance(value, Container):
        value = value._content
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found = 1
    for part in parts:
        if found > room:
            break
        found += _count(part, room - found)
    return found
