r"""What a token is: a character; or a word, a line end, a run of other white space, or one punctuation character.

At word level a text is cut by ``WORD`` into tokens that, joined again, are the text: nothing is dropped, nothing is changed.

- ``\w+(?:['\u2019]\w+)*``: letters, digits and underscores; an apostrophe, straight or curved, within a word is part of it
- ``\n``: one line end
- ``[^\S\n]+``: a run of other white space, such as the indentation of a line
- ``[^\w\s]``: one character of anything else
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from framework.data.reading import even_pieces

Level = Literal["character", "word"]

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|\n|[^\S\n]+|[^\w\s]")
"""One token at word level; every text is a sequence of matches without gaps."""


def code_points(text: str) -> NDArray[np.uint32]:
    """The characters' numbers in Unicode, ``(characters,) uint32``."""
    # Lone surrogates pass: the command line gives them for bytes that are no UTF-8, and they must end in our own error.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def words(text: str) -> list[str]:
    """The tokens at word level, in order."""
    return WORD.findall(text)


def whole_words(pieces: Iterable[str]) -> Iterator[str]:
    """The same text, cut so that no token at word level, and no word whose case is lowered, lies in two pieces.

    Cuts fall before white space that follows something else, which both rules take as a border.
    """
    held: list[str] = []
    for piece in even_pieces(pieces):
        parts = piece.rsplit(maxsplit=1)
        if len(parts) == 2:
            cut = len(parts[0])
            yield "".join([*held, piece[:cut]])
            held = [piece[cut:]]
        else:
            held.append(piece)
    if held:
        yield "".join(held)
