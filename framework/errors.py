"""Every error that Gatework raises on purpose: one base class, and problems that say what, where and what instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from framework.secrets import concealed

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_INPUT = 2


class GateworkError(Exception):
    """Base class of all of Gatework's own errors; ``exit_code`` is what the command line ends with. Its text holds no password."""

    exit_code = EXIT_FAILED

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are made anew from their text alone, which is not what every class here is made from.
        return _remake, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        return concealed(super().__str__())


def _remake(kind: type[GateworkError], args: tuple[object, ...]) -> GateworkError:
    """An error as it was, without a second call of what its class is made with."""
    return kind.__new__(kind, *args)


class InputError(GateworkError):
    """What the user gave is wrong: a config, an argument, a file. The command line ends with 2."""

    exit_code = EXIT_USER_INPUT


@dataclass(frozen=True)
class Origin:
    """Where a value was set.

    Attributes:
        source: a YAML file's path, or the text of a command-line override, or ``"default"``.
        line: line in that file, counted from 1; None for an override or a default.
    """

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in the user's input.

    Attributes:
        path: dotted key, such as ``model.layers.gru.units``; empty for the whole input.
        message: what is wrong, in one sentence without a final stop.
        value: the offending value as the user wrote it, rendered; None when a key is missing.
        expected: what would have been accepted.
        suggestion: the nearest valid name.
        origin: the file and line, or the override, that set the value.
        hint: what to do, where the rest does not already say it.
    """

    path: str
    message: str
    value: str | None = None
    expected: str | None = None
    suggestion: str | None = None
    origin: Origin | None = None
    hint: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.message}" if self.path else self.message]
        if self.value is not None:
            lines.append(f"    value: {self.value}")
        if self.origin is not None:
            lines.append(f"    set in: {self.origin}")
        if self.expected:
            lines.append(f"    expected: {self.expected}")
        if self.suggestion:
            lines.append(f"    did you mean: {self.suggestion}")
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)


class SpecError(InputError):
    """A config is wrong; carries every problem found, not only the first.

    Args:
        problems: at least one.
        title: the sentence above the list; counted from the problems when not given.
    """

    def __init__(self, problems: Sequence[Problem], title: str | None = None) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        self.title = title or f"{count} problem{'' if count == 1 else 's'} in the config"
        super().__init__("\n".join([f"{self.title}:", *(f"  {line}" for line in self._lines())]))

    def _lines(self) -> Iterable[str]:
        for problem in self.problems:
            yield from str(problem).splitlines()


class DataError(InputError):
    """Data is missing, unreadable, too short, or not what the config declares.

    Args:
        what: a sentence, or a problem in its parts, which is then the attribute ``problem``.
    """

    def __init__(self, what: str | Problem) -> None:
        super().__init__(str(what))
        self.problem = what if isinstance(what, Problem) else None


class RunError(InputError):
    """A run folder cannot be used as asked: unknown, locked, in conflict, or written by a newer version."""


class CheckpointError(GateworkError):
    """A checkpoint is missing, truncated or altered."""


class TrainingError(GateworkError):
    """Training cannot go on: the loss is not finite, or memory ran out."""


class LostProcess(TrainingError):
    """Another process of the training is gone, so that this one cannot go on."""


class BackendUnavailable(InputError):
    """A backend, or a device of it, is not there; the message says how to get it."""


class UnsupportedArgument(InputError):
    """A backend, or a layer kind, cannot honour an argument that the spec accepts; the message names it."""


class ParityError(GateworkError):
    """Two backends, or a converted model and its source, disagree by more than the tolerance."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to ``name``, or None when none is close."""
    choices = list(known)
    found = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if not found:
        found = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.6)
    return found[0] if found else None
