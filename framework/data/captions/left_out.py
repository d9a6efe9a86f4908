"""Captions and images that cannot be used: counted, named, and left out unless they are too many."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from framework.errors import DataError, Problem

_NAMED = 10


@dataclass
class LeftOut:
    """What is left out of one kind of thing.

    Attributes:
        what: the things, in the plural, such as ``images``.
        share: of them that may be left out.
        count: how many are.
        first: the first of them, each with its fault.
    """

    what: str
    share: float
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str, fault: str) -> None:
        """One of them."""
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(f"{name} ({fault})")

    def finish(self, total: int) -> None:
        """To be called when all were looked at, with their number; tells the log what is left out.

        Raises:
            DataError: it is too many.
        """
        if self.count > self.share * total:
            message = f"{self.count:,} of {total:,} {self.what} cannot be used: {self}"
            hint = "mend them, or raise data.max_malformed to leave them out"
            raise DataError(Problem("data", message, expected=f"at most {self.share:.3g} of them", hint=hint))
        if self.count:
            logging.getLogger("gatework").warning("left out %d of %d %s: %s", self.count, total, self.what, self)

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        return ", ".join(self.first) + more
