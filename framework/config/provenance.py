"""Who set each value: the YAML file and line, the override or the sweep, and what it replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from framework.config.location import display
from framework.config.yaml_file import read_positions
from framework.config.yaml_text import Positioned
from framework.errors import Origin

_NOT_VALUES = ("defaults",)
"""Keys at the top of a file that are no values."""

_REQUIRED = "???"


@dataclass(frozen=True)
class Layer:
    """One YAML file of the composition.

    Attributes:
        name: as defaults lists call it.
        path: the file.
        package: dotted key under which its content goes; empty for the whole config.
        choice: the group choice that brought it in, such as ``model=text_generation``; None for the primary config.
        chosen_by: where that choice was made.
    """

    name: str
    path: Path
    package: str
    choice: str | None = None
    chosen_by: Origin | None = None


@dataclass(frozen=True)
class Setting:
    """One time that a key was set.

    Attributes:
        value: what it was set to, before interpolation.
        origin: the file and line, the override or the sweep.
        layer: the file of the composition, with the choice that brought it in; None for an override.
        text: the value as it was written, where that is one word or line without quotes.
    """

    value: Any
    origin: Origin
    layer: Layer | None = None
    text: str | None = None


@dataclass
class _Key:
    settings: list[Setting] = field(default_factory=list)
    children: dict[str, _Key] = field(default_factory=dict)
    is_mapping: bool = False
    in_force: Setting | None = None
    """What made the key a mapping, or the last value that it was given."""


class Provenance:
    """The history of every key. Files and overrides are added in the order of composition, so that later ones win."""

    def __init__(self) -> None:
        self._root = _Key(is_mapping=True)

    def add_file(self, layer: Layer) -> None:
        """Adds everything that a YAML file sets."""
        source = display(layer.path)
        content = read_positions(layer.path)
        parts = {name: part for name, part in content.children.items() if name not in _NOT_VALUES}
        first = min((part.line or 1 for part in parts.values()), default=1)
        node = Positioned(content.value, first, parts, content.is_mapping)
        self._merge(layer.package, node, lambda part: Setting(part.value, Origin(source, part.line), layer, part.text))

    def add_value(self, key: str, value: Any, origin: Origin, text: str | None = None) -> None:
        """Adds what an override sets: a mapping is merged, anything else replaces.

        Args:
            key: dotted key.
            value: as plain data.
            origin: the override.
            text: the value as it was written.
        """
        node = replace(_without_lines(value), text=text)
        self._merge(key, node, lambda part: Setting(part.value, origin, None, part.text))

    def remove(self, key: str) -> None:
        """Forgets a key that an override has deleted."""
        parent, _, last = key.rpartition(".")
        found = self._find(parent)
        if found is not None:
            found.children.pop(last, None)

    def history(self, key: str) -> list[Setting]:
        """Every time that exactly this key was set, the last one being in force; empty when only the spec's default stands."""
        found = self._find(key)
        return list(found.settings) if found else []

    def locate(self, key: str) -> Origin | None:
        """Where the value of a key was set; for a key that nobody set, where its nearest parent was."""
        origin = None
        for here in self._along(key):
            origin = here.in_force.origin if here.in_force else origin
        return origin

    def is_set(self, key: str) -> bool:
        """Whether a file or an override has set a key or a part of it."""
        return self._find(key) is not None

    def keys(self) -> Iterator[str]:
        """Every key that was set and has no parts."""
        yield from _leaves(self._root, "")

    def _find(self, key: str) -> _Key | None:
        """The key itself; the whole for an empty one."""
        *_, (found, rest) = [(self._root, key), *self._steps(key)]
        return None if rest else found

    def _along(self, key: str) -> Iterator[_Key]:
        """What is there of a dotted key, from the top down."""
        return (found for found, _ in self._steps(key))

    def _steps(self, key: str) -> Iterator[tuple[_Key, str]]:
        """Each part of a dotted key that is there, and what is left of the key after it; a part may hold dots itself."""
        here, rest = self._root, key
        while rest:
            parts = rest.split(".")
            heads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
            name = next((head for head in heads if head in here.children), None)
            if name is None:
                return
            here, rest = here.children[name], rest[len(name) + 1 :]
            yield here, rest

    def _merge(self, key: str, node: Positioned, setting: Callable[[Positioned], Setting]) -> None:
        for part in reversed(key.split(".") if key else []):
            node = Positioned({part: node.value}, node.line, {part: node}, is_mapping=True)
        for name, part_node in node.children.items():
            _set(self._root.children.setdefault(name, _Key()), part_node, setting)


def _set(key: _Key, node: Positioned, setting: Callable[[Positioned], Setting]) -> None:
    """A mapping is merged into a mapping; everything else replaces what was there."""
    made = setting(node)
    if node.value == _REQUIRED and key.settings:
        return  # it asks for a value, and there is one
    key.settings.append(made)
    if not (key.is_mapping and node.is_mapping):
        key.children.clear()
        key.is_mapping = node.is_mapping
        key.in_force = made
    for name, part in node.children.items():
        _set(key.children.setdefault(name, _Key()), part, setting)


def _without_lines(value: Any) -> Positioned:
    if isinstance(value, dict):
        return Positioned(value, None, {str(name): _without_lines(part) for name, part in value.items()}, is_mapping=True)
    if isinstance(value, list):
        return Positioned(value, None, {str(index): _without_lines(part) for index, part in enumerate(value)})
    return Positioned(value)


def _leaves(key: _Key, path: str) -> Iterator[str]:
    for name, child in key.children.items():
        below = f"{path}.{name}" if path else name
        if child.children:
            yield from _leaves(child, below)
        else:
            yield below
