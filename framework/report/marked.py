"""Text between two markers of a Markdown file, which tools rewrite and people leave alone."""

from __future__ import annotations

import re

from framework.errors import InputError


def begin_marker(name: str, writer: str) -> str:
    """The comment before a marked text; it names the command that writes it."""
    return f"<!-- {name}: begin ({writer}) -->"


def marked(name: str, writer: str, content: str) -> str:
    """A text with its markers."""
    return f"{begin_marker(name, writer)}\n{content}\n<!-- {name}: end -->"


def replace_marked(text: str, name: str, writer: str, content: str, where: str) -> str:
    """``text`` with another content between the markers of ``name``.

    Args:
        text: of a whole file.
        name: of the marked part.
        writer: the command that writes it, as the marker names it.
        content: the new content.
        where: the file, for the message.

    Raises:
        InputError: the text has no such markers.
    """
    pattern = f"{re.escape(begin_marker(name, writer))}.*?<!-- {re.escape(name)}: end -->"
    if re.search(pattern, text, flags=re.DOTALL) is None:
        raise InputError(f"{where} has no place for {name}\n    expected: the lines\n{marked(name, writer, '…')}")
    return re.sub(pattern, lambda _: marked(name, writer, content), text, flags=re.DOTALL)


def has_marked(text: str, name: str, writer: str) -> bool:
    """Whether ``text`` has the markers of ``name``."""
    return begin_marker(name, writer) in text and f"<!-- {name}: end -->" in text


def marked_names(text: str, writer: str) -> list[str]:
    """Names of the marked parts that ``writer`` writes, in order."""
    return re.findall(rf"<!-- ([\w-]+): begin \({re.escape(writer)}\) -->", text)
