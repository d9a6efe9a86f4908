"""What is wrong with the text of a YAML file, as problems with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from framework.config.interpolation import is_grammatical, ungrammatical
from framework.config.location import display
from framework.config.yaml_text import Positioned, duplicate_keys
from framework.errors import Origin, Problem


def syntax_problem(error: yaml.YAMLError, path: Path) -> Problem:
    """The problem of a text that is no YAML, with line and column and what it stands in."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return Problem("", f"the YAML cannot be read: {what}", origin=Origin(display(path)))
    context, start = getattr(error, "context", None), getattr(error, "context_mark", None)
    where = f", {context}" if context else ""
    begun = f" begun in line {start.line + 1}" if start is not None and start.line != mark.line else ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return Problem(
        "",
        f"the YAML cannot be read at column {mark.column + 1}: {what}{where}{begun}",
        value=line.strip() or None,
        origin=Origin(display(path), min(mark.line + 1, max(len(lines), 1))),
        hint="indent with spaces" if "\t" in line else None,
    )


def encoding_problem(path: Path, error: UnicodeDecodeError) -> Problem:
    """The problem of a file that is not written in UTF-8."""
    line = path.read_bytes()[: error.start].count(b"\n") + 1
    return Problem("", "the file is not written in UTF-8", origin=Origin(display(path), line), expected="UTF-8 text")


def duplicate_problems(path: Path) -> list[Problem]:
    """The problems of keys that stand twice in one mapping."""
    return [
        Problem("", f"the key '{key}' stands twice in one mapping", origin=Origin(display(path), second), hint=f"first in line {first}")
        for key, first, second in duplicate_keys(path)
    ]


def interpolation_problems(path: Path, content: Positioned, package: str) -> list[Problem]:
    """The problems of texts with a ``${`` that begins nothing."""
    return [
        ungrammatical(key, node.value, Origin(display(path), node.line))
        for key, node in _texts(content, package)
        if not is_grammatical(node.value)
    ]


def _texts(node: Positioned, path: str) -> Iterator[tuple[str, Positioned]]:
    if isinstance(node.value, str) and "${" in node.value:
        yield path, node
    for name, child in node.children.items():
        yield from _texts(child, f"{path}.{name}" if path else name)
