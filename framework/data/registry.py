"""What plug-ins add to: named things, and an error that names the nearest one."""

from __future__ import annotations

from typing import Generic, TypeVar

from framework.data.plugins import load_plugins
from framework.errors import DataError, Problem, nearest

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Things by name. Looking up a name that is not there yet loads the plug-ins first.

    Args:
        key: the config's key that holds such a name, such as ``data.corpus``.
        what: what the things are, in the singular, such as ``corpus``.
    """

    def __init__(self, key: str, what: str) -> None:
        self._key = key
        self._what = what
        self._items: dict[str, Item] = {}

    def add(self, name: str, item: Item) -> None:
        """Register ``item``.

        Raises:
            DataError: another thing has that name; the same one, imported again, replaces itself.
        """
        known = self._items.get(name)
        if known is not None and _identity(known) != _identity(item):
            raise DataError(f"two plug-ins register the {self._what} '{name}': {_identity(known)} and {_identity(item)}")
        self._items[name] = item

    def get(self, name: str) -> Item:
        """The thing of that name.

        Raises:
            DataError: there is none; names the nearest one, and the plug-ins that could not be imported.
        """
        if name in self._items:
            return self._items[name]
        failures = load_plugins()
        if name in self._items:
            return self._items[name]
        broken = "; ".join(f"plug-in '{plugin}' cannot be imported: {reason}" for plugin, reason in failures.items())
        raise DataError(
            str(
                Problem(
                    path=self._key,
                    message=f"unknown {self._what} '{name}'",
                    expected="one of " + ", ".join(self.names()),
                    suggestion=nearest(name, self._items),
                    hint=broken or None,
                )
            )
        )

    def names(self) -> list[str]:
        """All names, plug-ins' included, sorted."""
        load_plugins()
        return sorted(self._items)


def _identity(item: object) -> str:
    return f"{getattr(item, '__module__', '?')}.{getattr(item, '__qualname__', repr(item))}"
