"""YAML files read, each by way of the guard; whatever is wrong with one comes with its line."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from framework.config.location import display
from framework.config.yaml_guard import MAX_BYTES, refused
from framework.config.yaml_text import Loader, Positioned, duplicates, positioned
from framework.errors import Origin, Problem, SpecError
from framework.files import open_plain


def read_yaml(path: Path) -> Any:
    """The content of a YAML file as plain data, interpolations as they are written; an empty file is an empty mapping.

    Raises:
        SpecError: the file cannot be read, is no YAML, or holds what no YAML here may hold; each problem with its line.
    """
    return _copied(read_positions(path).value)


def read_positions(path: Path) -> Positioned:
    """The content of a YAML file with line numbers; an empty file is an empty mapping.

    Raises:
        SpecError: as :func:`read_yaml`.
    """
    return _read(path, *_state(path))[1]


def read_text(path: Path) -> str:
    """The text of a YAML file, without a byte-order mark.

    Raises:
        SpecError: as :func:`read_yaml`.
    """
    return _read(path, *_state(path))[0]


def _state(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SpecError([_unreadable(path, error)]) from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=256)
def _read(path: Path, modified: int, size: int) -> tuple[str, Positioned]:
    text = _decoded(path)
    try:
        found = refused(text, Loader)
        if found:
            raise SpecError([_placed(one.problem, path, one.line) for one in found])
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            twice = list(duplicates(node)) if node is not None else []
            if twice:
                raise SpecError([_twice(path, *one) for one in twice])
            return text, positioned(loader, node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SpecError([_syntax_problem(error, path, text)]) from error


def _decoded(path: Path) -> str:
    try:
        with open_plain(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError([_unreadable(path, error)]) from error
    if len(content) > MAX_BYTES:
        problem = Problem("", f"the file is longer than {MAX_BYTES:,} bytes", expected="a config; data belongs into files of its own")
        raise SpecError([_placed(problem, path, 1)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpecError([_placed(Problem("", "the file is not written in UTF-8", expected="UTF-8 text"), path, line)]) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unreadable(path: Path, error: OSError) -> Problem:
    return _placed(Problem("", f"the file cannot be read: {error.strerror or error}"), path, 1)


def _placed(problem: Problem, path: Path, line: int) -> Problem:
    return Problem(**{**vars(problem), "origin": Origin(display(path), line)})


def _twice(path: Path, key: str, first: int, second: int) -> Problem:
    return _placed(Problem("", f"the key '{key}' stands twice in one mapping", hint=f"first in line {first}"), path, second)


def _syntax_problem(error: yaml.YAMLError, path: Path, text: str) -> Problem:
    """The problem of a text that is no YAML, with line and column and what it stands in."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return _placed(Problem("", f"the YAML cannot be read: {what}"), path, 1)
    context, start = getattr(error, "context", None), getattr(error, "context_mark", None)
    where = f", {context}" if context else ""
    begun = f" begun in line {start.line + 1}" if start is not None and start.line != mark.line else ""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    problem = Problem(
        "",
        f"the YAML cannot be read at column {mark.column + 1}: {what}{where}{begun}",
        value=line.strip()[:200] or None,
        hint="indent with spaces" if "\t" in line else None,
    )
    return _placed(problem, path, min(mark.line + 1, max(len(lines), 1)))


def _copied(value: Any) -> Any:
    """The same lists and mappings anew, for a caller who may change them."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value
