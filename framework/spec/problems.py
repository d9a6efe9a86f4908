"""From pydantic's errors to problems that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from framework.errors import Origin, Problem, nearest
from framework.secrets import concealed

Locate = Callable[[str], Origin | None]
"""From a dotted key to the file and line, or override, that set it."""

Written = Callable[[str], str | None]
"""From a dotted key to its value as it was written, where that is one word or line without quotes."""

Model = TypeVar("Model", bound=BaseModel)

_SHOWN_CHOICES = 30


_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
"""What older YAML has for booleans; here it is text."""


KEY = "a name without control characters"
"""What a key is, for messages."""

_NO_KEY = re.compile("^$|[\0-\x1f\x7f\ud800-\udfff]")


def is_key(name: str) -> bool:
    """Whether a value can be found by a name."""
    return _NO_KEY.search(name) is None


def nowhere(path: str) -> Origin | None:
    """The :data:`Locate` of a config that was not read from files."""
    return None


def unwritten(path: str) -> str | None:
    """The :data:`Written` of a config that was not read from files."""
    return None


class ProblemCollector:
    """Gathers every problem of a config, each with its origin, so that all are reported at once.

    Args:
        locate: where each key was set.
        known: problems of values that nobody knows.
        written: each value as it was written, to take ``name=20240101`` for the text that it is.
    """

    def __init__(self, locate: Locate = nowhere, known: Sequence[Problem] = (), written: Written = unwritten) -> None:
        self.locate = locate
        self.written = written
        self.problems: list[Problem] = list(known)
        self._open = tuple(problem.path for problem in known)

    def is_open(self, section: str) -> bool:
        """Whether a value in a section is not known."""
        return any(path == section or path.startswith(f"{section}.") for path in self._open)

    def add(self, path: str, message: str, **details: Any) -> None:
        """Adds a problem at ``path``; the origin is that of the path, or of the nearest key above it that was set.

        Nothing is added at a value that is not known, or below it.
        """
        if any(path == unknown or path.startswith(f"{unknown}.") for unknown in self._open):
            return
        self.problems.append(Problem(path, message, origin=self._origin(path), **details))

    def parse(self, model: type[Model], value: object, path: str) -> Model | None:
        """Validates ``value`` as ``model``; what is wrong is gathered and None returned."""
        if not isinstance(value, Mapping):
            self.add(path, "must be a mapping", value=render(value), expected=f"a mapping with {', '.join(model.model_fields)}")
            return None
        try:
            return model.model_validate(dict(value))
        except ValidationError as error:
            if (meant := self._meant(model, value, path, error)) is not None:
                return meant
            self._add_errors(model, value, path, error)
            return None

    def unknown_key(self, path: str, key: str, known: Sequence[str]) -> None:
        """Adds the problem of a key that nothing reads."""
        where = f"{path}.{key}" if path else key
        self.add(where, f"unknown key '{key}'", expected=choices(known), suggestion=nearest(key, known))

    def _origin(self, path: str) -> Origin | None:
        while path:
            origin = self.locate(path)
            if origin is not None:
                return origin
            path = path.rpartition(".")[0]
        return None

    def _meant(self, model: type[Model], value: Mapping[Any, Any], path: str, error: ValidationError) -> Model | None:
        """The section, once numbers and booleans are taken for the text that was written, wherever text is expected; None if that fails."""
        changed: Any = dict(value)
        for entry in error.errors(include_url=False):
            keys = _real_keys(entry["loc"], value, entry["type"])
            if entry["type"] == "string_type" and isinstance(entry["input"], (bool, int, float)):
                text = self.written(".".join([path, *keys] if path else keys))
                changed = changed if text is None else _replaced(changed, keys, text)
        try:
            return None if changed == value else model.model_validate(changed)
        except ValidationError:
            return None

    def _add_errors(self, model: type[BaseModel], value: Mapping[Any, Any], path: str, error: ValidationError) -> None:
        seen: set[tuple[str, ...]] = set()
        for entry in error.errors(include_url=False):
            keys = _real_keys(entry["loc"], value, entry["type"])
            if keys in seen:  # the branches of a union each complain once
                continue
            seen.add(keys)
            self._add_error(model, path, keys, entry)

    def _add_error(self, model: type[BaseModel], path: str, keys: tuple[str, ...], entry: Mapping[str, Any]) -> None:
        where = ".".join([path, *keys] if path else keys)
        kind = entry["type"]
        context = entry.get("ctx", {})
        if kind == "extra_forbidden":
            known = _known_keys(model, keys[:-1])
            self.unknown_key(where.rpartition(".")[0], keys[-1], known)
        elif kind == "missing":
            self.add(where, "is missing", expected=describe(_schema_at(model, keys)))
        elif kind == "identifier":
            self.add(
                where,
                entry["msg"],
                value=render(entry["input"]),
                expected=context.get("expected"),
                suggestion=context.get("suggestion") or None,
            )
        elif kind == "value_error":  # a rule that concerns several keys
            self.add(where, str(context["error"]))
        else:
            schema = _schema_at(model, keys)
            given = entry["input"]
            suggestion = nearest(given, _names(schema)) if isinstance(given, str) else None
            if isinstance(given, str) and given.lower() in _WORDS and "true or false" in describe(schema):
                suggestion = _WORDS[given.lower()]
            expected = describe(schema) or entry["msg"]
            if kind == "finite_number":
                expected += ", not infinite or undefined"
            self.add(where, "value not accepted", value=render(given), expected=expected, suggestion=suggestion)


def render(value: object) -> str:
    """A value as its author would recognise it, cut where it is long, without passwords."""
    text = concealed(repr(value) if isinstance(value, str) else str(value))
    if isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    return text if len(text) <= 120 else text[:117] + "…"


def choices(names: Sequence[str]) -> str:
    """``one of a, b, c`` for messages."""
    return "one of " + ", ".join(list(names)[:_SHOWN_CHOICES]) + (", …" if len(names) > _SHOWN_CHOICES else "")


def _real_keys(loc: Sequence[str | int], value: Any, kind: str) -> tuple[str, ...]:
    """``loc`` without pydantic's names of union branches, which are no keys of the user's."""
    keys: list[str] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if _holds(value, part):
            value = value[part]
        elif not (last and kind == "missing"):
            continue
        keys.append(str(part))
    return tuple(keys)


def _replaced(value: Any, keys: Sequence[str], text: str) -> Any:
    """A copy with another value at the end of the keys."""
    if not keys:
        return text
    if isinstance(value, Mapping):
        return {key: _replaced(part, keys[1:], text) if str(key) == keys[0] else part for key, part in value.items()}
    return [_replaced(part, keys[1:], text) if str(index) == keys[0] else part for index, part in enumerate(value)]


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value)


@cache
def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _schema_at(model: type[BaseModel], keys: Sequence[str]) -> dict[str, Any]:
    root = _json_schema(model)
    here = root
    for key in keys:
        here = _resolve(here, root)
        if key in here.get("properties", {}):
            here = here["properties"][key]
        elif "items" in here and key.isdigit():
            here = here["items"]
        elif isinstance(here.get("additionalProperties"), dict):
            here = here["additionalProperties"]
        else:
            return {}
    return _inline(here, root)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return dict(root["$defs"][name])
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    if len(branches) == 1:
        return _resolve(branches[0], root)
    return schema


def _inline(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _resolve(schema, root)
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inline(branch, root) for branch in schema["anyOf"]]}
    return schema


def _known_keys(model: type[BaseModel], keys: Sequence[str]) -> list[str]:
    if not keys:
        return list(model.model_fields)
    schema = _schema_at(model, keys)
    for branch in [schema, *schema.get("anyOf", [])]:
        if "properties" in branch:
            return list(branch["properties"])
    return []


def _names(schema: Mapping[str, Any]) -> list[str]:
    found = [name for name in schema.get("enum", []) if isinstance(name, str)]
    if isinstance(schema.get("const"), str):
        found.append(schema["const"])
    for branch in schema.get("anyOf", []):
        found.extend(_names(branch))
    return found


def describe(schema: Mapping[str, Any]) -> str:
    """What a JSON schema accepts, in words."""
    if "anyOf" in schema:
        parts = [describe(branch) for branch in schema["anyOf"]]
        return ", or ".join(part for part in parts if part)
    if "enum" in schema:
        return choices([render(name) if not isinstance(name, str) else name for name in schema["enum"]])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type")
    if kind == "string" and str(schema.get("pattern", "")).startswith(r"^\$\{size:"):
        return "${size:NAME}"
    if kind == "string" and "pattern" in schema:
        return f"text that matches {schema['pattern']}"
    names = {"string": "text", "boolean": "true or false", "null": "null", "array": "a list", "object": "a mapping"}
    if kind in names:
        return names[kind]
    if kind in ("integer", "number"):
        return _describe_number("a whole number" if kind == "integer" else "a number", schema)
    return ""


def _describe_number(noun: str, schema: Mapping[str, Any]) -> str:
    bounds = [
        f"{words} {schema[key]:g}"
        for key, words in (("exclusiveMinimum", "above"), ("minimum", "of at least"), ("exclusiveMaximum", "below"), ("maximum", "up to"))
        if key in schema
    ]
    return " ".join([noun, " and ".join(bounds)]).strip()
