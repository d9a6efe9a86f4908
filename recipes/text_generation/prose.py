"""The English in the documentation of Python modules: whole sentences, without examples, signatures and tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

FEWEST_WORDS = 8
"""Words below which a paragraph is a heading or a remark rather than prose."""

PLAIN_SHARE = 0.85
"""Share of a paragraph's words that must be words of English, rather than names, numbers and code."""

_BETWEEN = re.compile(r"\n\s*\n")
_BULLET = re.compile(r"^[*+-] ")
_PLAIN = re.compile(r"[\"'(]{0,2}[A-Za-z]+(?:['-][A-Za-z]+)*[\"')]{0,2}[.,;:!?]?\)?")
_SENTENCES = re.compile(r"[A-Z\"(].*[.:!?)\"]", re.DOTALL)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def prose_of(documentation: str) -> Iterator[str]:
    """The paragraphs of a text that are English prose, each on one line.

    Args:
        documentation: paragraphs with blank lines between them, wrapped and indented in any way.

    Yields:
        Paragraphs of ASCII characters that begin and end as sentences do.
    """
    for block in _BETWEEN.split(documentation):
        paragraph = _BULLET.sub("", " ".join(block.split()))
        words = paragraph.split()
        plain = sum(_PLAIN.fullmatch(word) is not None for word in words)
        if len(words) >= FEWEST_WORDS and plain >= PLAIN_SHARE * len(words) and _SENTENCES.fullmatch(paragraph) and paragraph.isascii():
            yield paragraph


def docstrings_of(source: str) -> Iterator[str]:
    """The docstrings of a module and of all classes and functions in it, outer ones first.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and (docstring := ast.get_docstring(node)):
            yield docstring
