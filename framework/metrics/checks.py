"""What every score of texts against references asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from framework.errors import InputError


def check_references(predictions: Sequence[Any], references: Sequence[Sequence[Any]], prediction: str, source: str) -> None:
    """Each source has one prediction, and at least one right one to hold it against.

    Args:
        predictions: one for each source.
        references: of each source.
        prediction: what one is called, such as ``translation``.
        source: what it is made of, such as ``sentence``.

    Raises:
        InputError: there is nothing to score, or a source has no reference.
    """
    if not predictions:
        raise InputError(f"there are no {prediction}s to score")
    if len(predictions) != len(references):
        raise InputError(f"there are {len(predictions)} {prediction}s and references of {len(references)} {source}s; expected as many")
    for number, right in enumerate(references, start=1):
        if not right:
            raise InputError(f"{source} {number} has no reference; expected at least one right {prediction}")
