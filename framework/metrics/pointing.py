"""Pointing: whether a model looks at a thing while it names it.

Source: the idea of the pointing game, Zhang et al. 2016 (arXiv:1608.00507), section 4.1; here of the attention's centre, not its maximum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a region, in shares of the image's width and height."""


def pointing(
    tokens: Sequence[str], attention: NDArray[Any], grid: tuple[int, int], regions: Mapping[tuple[str, ...], Box]
) -> Iterator[tuple[bool, ...]]:
    """For each time that a thing is named, whether the attention's centre lies in the thing's region at each token of its name.

    Args:
        tokens: of the caption.
        attention: ``(tokens, places)``, the places row by row.
        grid: rows and columns of the places.
        regions: of things, by their names' tokens.
    """
    rows, columns = grid
    weights = attention.reshape(len(tokens), rows, columns)
    total = weights.sum(axis=(1, 2))
    across = (weights.sum(axis=1) * [(place + 0.5) / columns for place in range(columns)]).sum(axis=1) / total
    down = (weights.sum(axis=2) * [(place + 0.5) / rows for place in range(rows)]).sum(axis=1) / total
    for name, (left, top, right, bottom) in regions.items():
        for begin in range(len(tokens) - len(name) + 1):
            if tuple(tokens[begin : begin + len(name)]) == name:
                places = range(begin, begin + len(name))
                yield tuple(bool(left <= across[place] < right and top <= down[place] < bottom) for place in places)
