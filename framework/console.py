"""What people see on a terminal, in a pipe or in a file: showing it never ends a piece of work."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from framework.errors import GateworkError

COMMAND = "GATEWORK_COMMAND"
"""Variable in which ``scripts/run`` says how it was called."""


def typed_command() -> str:
    """How a person types the command, for hints that can be typed as they stand: as ``scripts/run`` was called, or ``gatework``."""
    return shlex.quote(os.environ.get(COMMAND) or "gatework")


class OutputError(GateworkError):
    """What a command was asked to print cannot be written, such as on a full disk."""


class ReaderGone(Exception):
    """Nobody reads any more what a command prints, as with ``| head``. No error; and no OSError, which some libraries make an exit."""


class _Stream:
    """A text stream that replaces characters which its encoding lacks, and that is lost once it cannot be written to.

    Args:
        stream: to write to.
        display: whether what is shown stands beside the work; then what is written once the stream is lost goes nowhere.
    """

    def __init__(self, stream: TextIO, display: bool) -> None:
        self.stream = stream
        self.display = display
        self.lost = False

    def write(self, text: str) -> int:
        """Writes a text.

        Raises:
            ReaderGone: nobody reads it any more, and this is no display.
            OutputError: something else keeps it from being written, and this is no display.
        """
        if self.lost:
            return len(text)
        try:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                encoding = self.stream.encoding or "ascii"
                self.stream.write(text.encode(encoding, "replace").decode(encoding))
        except (OSError, ValueError) as error:  # ValueError: somebody has closed it
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes texts; see :meth:`write`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Sends on what was written; see :meth:`write`."""
        if self.lost:
            return
        try:
            self.stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _lose(self, error: Exception) -> None:
        self.lost = True
        # What the stream still holds must go somewhere when Python ends, or that would fail.
        with contextlib.suppress(OSError, ValueError):
            _point_at_nothing(self.stream.fileno())
        if self.display:
            return
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise ReaderGone from error
        reason = error.strerror if isinstance(error, OSError) else None
        raise OutputError(f"cannot write the output: {reason or error}") from error


@contextmanager
def showing(display: bool) -> Iterator[None]:
    """Within, the standard output and the standard error take any text, and the standard error is never a reason to fail.

    Args:
        display: whether the standard output only shows how a piece of work comes along; nothing that befalls it is a failure then:
            a reader that goes away, a full disk, a terminal that is closed.
    """
    before = sys.stdout, sys.stderr
    streams = [_wrapped(stream, aside) for stream, aside in zip(before, (display, True), strict=True)]
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
    try:
        yield
    finally:
        for stream in streams:
            stream.display = True  # what ends the work is known already
            stream.flush()
        sys.stdout, sys.stderr = before


def open_missing_streams() -> None:
    """Points standard streams that the process was started without at nothing, before a file gets their number by chance."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _point_at_nothing(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115 - open to the end


def _wrapped(stream: TextIO | None, display: bool) -> _Stream:
    if isinstance(stream, _Stream):  # a piece of work within another
        return _Stream(stream.stream, display or stream.display)
    return _Stream(stream if stream is not None else open(os.devnull, "w", encoding="utf-8"), display)


def _point_at_nothing(number: int) -> None:
    """Makes a file descriptor of the process one of the null device."""
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)
