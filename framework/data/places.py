"""Where tokens stand in a text: looked for once more, when something is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from framework.data.reading import even_pieces
from framework.data.tokenisation import Level, whole_words, words


def first_places(parts: Iterable[tuple[str, Iterable[str]]], tokens: Sequence[str], level: Level, lowercase: bool) -> list[str]:
    """The place where each token first stands, such as ``my.txt, line 3``; empty where it is not found.

    Args:
        parts: each file's name and its text in pieces; of a text that is in no file an empty name.
        tokens: to look for.
        level: what a token is.
        lowercase: whether the text's case is lowered first.
    """
    found: dict[str, str] = {}
    missing = set(tokens)
    for name, pieces in parts:
        line = 1
        for piece in _prepared(pieces, level, lowercase):
            for token, at in _positions(piece, level).items():
                if token in missing:
                    missing.discard(token)
                    found[token] = f"{name}{', ' if name else ''}line {line + piece.count(chr(10), 0, at)}"
            if not missing:
                break
            line += piece.count("\n")
    return [found.get(token, "") for token in tokens]


def _prepared(pieces: Iterable[str], level: Level, lowercase: bool) -> Iterator[str]:
    pieces = whole_words(pieces) if level == "word" or lowercase else even_pieces(pieces)
    return (piece.lower() for piece in pieces) if lowercase else iter(pieces)


def _positions(piece: str, level: Level) -> dict[str, int]:
    """Where each token of a piece first stands in it."""
    found: dict[str, int] = {}
    at = 0
    for token in words(piece) if level == "word" else piece:
        found.setdefault(token, at)
        at += len(token)
    return found
