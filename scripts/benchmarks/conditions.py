"""What Gatework does around a training, for what is measured outside of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_in_a_run() -> Iterator[None]:
    """Freed memory is kept, by whoever frees it, and Gatework's layers choose their ways by measuring."""
    from framework.backends.base.choices import Choices, using
    from framework.backends.base.memory import keep_freed_memory

    keep_freed_memory()
    with using(Choices()):
        yield
