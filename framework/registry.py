"""Named things that plug-ins add to: looked up like a mapping, with an error that names the nearest one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from framework.errors import DataError, Problem, nearest
from framework.plugins import load_plugins

Item = TypeVar("Item")


class Registry(Mapping[str, Item]):
    """Things by name. Looking for a name that is not there yet, or at all of them, loads the plug-ins first, in any process.

    Args:
        key: the config's key that holds such a name, such as ``data.corpus``.
        what: what the things are, in the singular, such as ``corpus``.
    """

    def __init__(self, key: str, what: str) -> None:
        self._key = key
        self._what = what
        self._items: dict[str, Item] = {}
        self._makers: dict[str, str] = {}

    def add(self, name: str, item: Item, maker: object = None) -> None:
        """Register ``item``.

        Args:
            name: of the thing.
            item: the thing.
            maker: what it is known by, where it is made anew of that at each import.

        Raises:
            DataError: another thing has that name; the same one, imported again, replaces itself.
        """
        identity = _identity(item if maker is None else maker)
        known = self._makers.setdefault(name, identity)
        if known != identity:
            raise DataError(f"two plug-ins register the {self._what} '{name}': {known} and {identity}")
        self._items[name] = item

    def named(self, name: str) -> Item:
        """The thing of that name.

        Raises:
            DataError: there is none; names the nearest one, and the plug-ins that could not be imported.
        """
        if name in self:
            return self[name]
        raise DataError(
            Problem(
                path=self._key,
                message=f"unknown {self._what} '{name}'",
                expected="one of " + ", ".join(sorted(self)),
                suggestion=nearest(name, self),
                hint=broken_plugins(),
            )
        )

    def __getitem__(self, name: str) -> Item:
        if name not in self._items:
            load_plugins()
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(dict(self._items))

    def __len__(self) -> int:
        load_plugins()
        return len(self._items)


def broken_plugins() -> str | None:
    """Which plug-ins could not be imported, and why: what is missed may be theirs; None where all could."""
    return "; ".join(f"plug-in '{plugin}' cannot be imported: {reason}" for plugin, reason in load_plugins().items()) or None


def _identity(item: object) -> str:
    if isinstance(item, str):
        return item
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', repr(item))}"
