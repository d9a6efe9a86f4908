"""What no YAML text may hold, told before anything is built from it: the one gate that every YAML of a user or a stranger passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from framework.errors import Problem

MAX_BYTES = 2**20
"""Length of a YAML file."""

MAX_VALUES = 10_000
"""Values of a file, those that an alias repeats counted each time: what is composed is copied several times over."""

MAX_REPEATED = 1_000
"""Values of a file that are there by aliases alone."""

MAX_DEPTH = 50
"""Lists and mappings within each other, in a file or an override. What reads them calls itself for each."""

MAX_INTERPOLATIONS = 100
"""Interpolations in one text."""

MAX_DIGITS = 100
"""Length of a number."""

_TEXT_TAGS = ("tag:yaml.org,2002:str", "!")
_NUMBER = re.compile(r"[-+]?\.?[0-9]")
_LEADING_ZERO = re.compile(r"([-+]?)0[0-9_]+")
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN = 80


@dataclass(frozen=True)
class Refused:
    """One thing that is refused, and its line, from 1."""

    problem: Problem
    line: int


def refused(text: str, loader: Any) -> list[Refused]:
    """What is wrong with a text before it is read as a whole; nothing where it may be.

    Args:
        text: YAML.
        loader: PyYAML's loader class whose events are looked at.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    strange = _NOT_YAML.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        message = f"the file holds the character U+{ord(strange[0]):04X}, which YAML does not allow"
        return [Refused(Problem("", message, expected="text, with such a character written as an escape in double quotes"), line)]
    return list(_Events().check(yaml.parse(text, loader)))


@dataclass
class _Open:
    """A list or mapping that has begun: how much is in it so far."""

    anchor: str | None
    values: int = 1
    height: int = 1


class _Events:
    """Goes over the events of a text, which libyaml makes without calling itself, and counts."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._sizes: dict[str, tuple[int, int]] = {}
        self._documents = 0
        self._repeated = 0

    def check(self, events: Any) -> Iterator[Refused]:
        """Yields what is wrong; ends at what would not end by itself."""
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    yield Refused(Problem("", "a second document begins here", value="---", expected="one document in a file"), line)
                    return
            elif isinstance(event, yaml.AliasEvent):
                stop = self._alias(event.anchor)
                if stop is not None:
                    yield Refused(stop, line)
                    return
            elif isinstance(event, yaml.ScalarEvent):
                found = _scalar_problem(event)
                if found is not None:
                    yield Refused(found, line)
                self._add(event.anchor, 1, 0)
            elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                if event.tag is not None and event.tag != "!":
                    yield Refused(_tag_problem(event.tag), line)
                self._open.append(_Open(event.anchor))
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                closed = self._open.pop()
                self._add(closed.anchor, closed.values, closed.height)
            stop = self._too_much()
            if stop is not None:
                yield Refused(stop, line)
                return

    def _alias(self, name: str | None) -> Problem | None:
        if any(one.anchor == name for one in self._open):
            return Problem(
                "", f"the alias '*{name}' stands for what it stands in", value=f"*{name}", expected="an anchor that has ended before"
            )
        values, height = self._sizes.get(name or "", (1, 0))  # one that is not there is the YAML reader's to tell
        self._add(None, values, height)
        self._repeated += values
        if self._repeated > MAX_REPEATED:
            message = f"the aliases of the file stand for more than {MAX_REPEATED:,} values"
            return Problem(
                "", message, value=f"*{name}", expected=f"at most {MAX_REPEATED:,}, each alias counted as all that it stands for"
            )
        return None

    def _add(self, anchor: str | None, values: int, height: int) -> None:
        if anchor is not None:
            self._sizes[anchor] = (values, height)
        if self._open:
            around = self._open[-1]
            around.values += values
            around.height = max(around.height, height + 1)

    def _too_much(self) -> Problem | None:
        within = self._open[-1].height if self._open else 0
        if len(self._open) - 1 + within > MAX_DEPTH:
            return Problem("", f"lists or mappings lie more than {MAX_DEPTH} deep in each other", expected=f"at most {MAX_DEPTH}")
        if sum(one.values for one in self._open) > MAX_VALUES:
            return Problem("", f"the file stands for more than {MAX_VALUES:,} values", expected=f"at most {MAX_VALUES:,}")
        return None


def _tag_problem(tag: str) -> Problem:
    shown = f"!!{tag.rpartition(':')[2]}" if tag.startswith("tag:yaml.org,2002:") else tag
    return Problem(
        "", "tags are not read: YAML makes no objects here", value=_cut(shown), expected="the value alone; text stands in quotes"
    )


def _scalar_problem(event: Any) -> Problem | None:
    text: str = event.value
    if event.tag is not None and event.tag not in _TEXT_TAGS:
        return _tag_problem(event.tag)
    if "${" in text and (told := too_nested(text)):
        return Problem("", told, value=_cut(text), expected="a shorter text")
    if event.tag is not None or event.style or not _NUMBER.match(text):
        return None
    zero = _LEADING_ZERO.fullmatch(text)
    if zero and len(text) <= MAX_DIGITS:
        number = text.replace("_", "").lstrip("+-").lstrip("0") or "0"
        expected = f"{zero[1]}{number} for the number, '{text}' in quotes for text"
        return Problem("", "a number that begins with 0 may be meant as text, or to the base 8", value=text, expected=expected)
    if len(text) > MAX_DIGITS and re.fullmatch(r"[-+]?[0-9a-fA-FxX_.:eE+-]+", text):
        return Problem(
            "", f"a number of {len(text):,} characters", value=_cut(text), expected=f"at most {MAX_DIGITS}; text stands in quotes"
        )
    return None


def too_nested(text: str) -> str | None:
    """Why a text with interpolations or brackets is not read: reading it would take far longer than it is; None where it is."""
    if text.count("${") > MAX_INTERPOLATIONS:
        return f"the text holds more than {MAX_INTERPOLATIONS} interpolations"
    return f"brackets lie more than {MAX_DEPTH} deep in each other" if nesting(text) > MAX_DEPTH else None


def nesting(text: str) -> int:
    """How deep brackets lie in each other, outside quotes; those that are not closed count too."""
    depth = deepest = 0
    quote = ""
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")}]":
            depth = max(depth - 1, 0)
    return deepest


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
