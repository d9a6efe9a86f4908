"""Calls of a layer that a gradient may run again: ``tf.recompute_grad``, and with it Keras' ``RematScope``, runs a part once more.

What is random or kept from call to call must then be what it was, and TensorFlow does not say that a part is run again. The functions
that run it are found among those that called the layer, by the code that ``tf.recompute_grad`` is made of.
"""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, FrameType
from typing import Any, Protocol, TypeVar, runtime_checkable

import keras
import tensorflow as tf

from framework.errors import UnsupportedArgument

Value = TypeVar("Value")
Values = dict[str, Any]

LATEST = 64
"""Parts whose calls of a layer are remembered, the latest."""


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        again: whether a gradient runs it again.
    """

    again: bool
    _values: Values

    def first(self, name: str, make: Callable[[], Value]) -> Value:
        """What ``make`` gives, or, in a call that is run again, gave the first time."""
        if not self.again:
            self._values[name] = make()
        value: Value = self._values[name]
        return value


@dataclass
class _Part:
    """The calls of a layer within one part.

    Attributes:
        arguments: the keywords that the part was called with, by which it is known: every call has a mapping of its own.
        calls: in order.
        done: how many of them have been run again.
        run: number of the frame that runs them again.
    """

    arguments: Any
    calls: list[Values] = field(default_factory=list)
    done: int = 0
    run: int = 0


class CallLog:
    """Finds a call of one layer again that a gradient runs once more."""

    def __init__(self) -> None:
        self._parts: deque[_Part] = deque(maxlen=LATEST)

    def enter(self, label: str) -> Call:
        """Begins a call.

        Raises:
            UnsupportedArgument: a gradient runs it again, and the first time is too long ago.
        """
        again, running = _around(sys._getframe(1))
        values = self._values_of(again, label) if again is not None else {}
        for frame in running:
            self._part(frame).calls.append(values)
        return Call(again is not None, values)

    def _values_of(self, again: FrameType, label: str) -> Values:
        part = self._part(again)
        if not part.calls:
            raise UnsupportedArgument(
                f"{label}: tf.recompute_grad runs it again, but its first call was in none of the last {LATEST} parts; only of these is it "
                "known what was dropped and which state was the first"
            )
        if part.run != id(again):
            part.run, part.done = id(again), 0
        part.done += 1
        # A later frame may have the number of an earlier one, which ran all of them.
        return part.calls[(part.done - 1) % len(part.calls)]

    def _part(self, frame: FrameType) -> _Part:
        arguments = frame.f_locals["kwargs"]
        for part in self._parts:
            if part.arguments is arguments:
                return part
        self._parts.append(_Part(arguments))
        return self._parts[-1]


@runtime_checkable
class CountsCalls(Protocol):
    """A layer whose dropout depends on its seed and the number of its call alone, so that a trainer can tell it where it stands."""

    @property
    def call_numbers(self) -> keras.random.SeedGenerator:
        """The seed, and the number of the coming call."""
        ...


def _around(frame: FrameType | None) -> tuple[FrameType | None, list[FrameType]]:
    """What runs again around a frame, the innermost, and what runs for the first time within that."""
    first, again = recompute_codes()
    running: list[FrameType] = []
    while frame is not None:
        if frame.f_code is again:
            return frame, running
        if frame.f_code is first:
            running.append(frame)
        frame = frame.f_back
    return None, running


@cache
def recompute_codes() -> tuple[CodeType | None, CodeType | None]:
    """What of ``tf.recompute_grad`` runs a part for the first time, and what runs it again; None where it is made otherwise."""
    found = {code.co_name: code for code in _codes(inspect.unwrap(tf.recompute_grad).__code__)}
    return found.get("inner"), found.get("inner_recompute_grad")


def _codes(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [*inner, *(each for one in inner for each in _codes(one))]
