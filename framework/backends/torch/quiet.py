"""Lightning without its small talk, and without its own way of ending a program."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_fabric.utilities.warnings import PossibleUserWarning

_CHATTER = ("pytorch_lightning", "lightning_fabric")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Within, Lightning's notes (devices found, why it stopped, tips) and its guesses at mistakes are not shown; its warnings are."""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            # What Lightning calls that torch has deprecated is between the two.
            for category in (DeprecationWarning, FutureWarning):
                warnings.filterwarnings("ignore", category=category, module=r"(pytorch_lightning|lightning_fabric)\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def interrupts_pass() -> Iterator[None]:
    """Within, Ctrl-C ends a Trainer's call with ``KeyboardInterrupt`` as it does in any Python code.

    Lightning (2.6) catches it, ignores further ones from then on, and exits the program with status 1.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        interrupt = leaving.__context__
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        raise interrupt from None


class SigtermGuard:
    """Keeps the program's own handler of SIGTERM, which Lightning replaces by one that raises ``SystemExit`` after the step.

    Make it before the Trainer starts and :meth:`restore` once it runs.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def restore(self) -> None:
        """Puts the handler back; only Python's main thread may, and only there has Lightning replaced it."""
        if threading.current_thread() is threading.main_thread() and self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
