"""What prepared sentences must be: enough for a batch, and as long as the config says."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from framework.data.batches import Batches
from framework.errors import DataError, Problem


def check_one_batch(train: Batches, rows: int, batch_size: int, what: str, more: str) -> None:
    """There is one batch to train on at least.

    Args:
        train: its batches.
        rows: to train on.
        batch_size: of a full batch.
        what: a row is, in the plural, such as ``pairs``.
        more: what would help, such as ``give more text``.

    Raises:
        DataError: there is none.
    """
    if train.steps:
        return
    message = f"there are too few {what} to train on: {rows:,}, and a batch has {batch_size:,}"
    hint = f"lower data.batch_size, set data.drop_remainder=false, or {more}"
    raise DataError(Problem("data.batch_size", message, value=str(batch_size), hint=hint))


def check_declared_lengths(declared: Mapping[Any, int], known: Container[str], longest: Mapping[str, int]) -> None:
    """Hold the longest sentences against those that the config declares.

    Args:
        declared: tokens by side.
        known: the sides whose declaration is of this data.
        longest: tokens by side as they are.

    Raises:
        DataError: a declared length differs from the real one.
    """
    for side, tokens in declared.items():
        if side in known and longest[side] != tokens:
            key = f"data.declared_lengths.{side}"
            message = f"the longest {side} has {longest[side]:,} tokens, but {tokens:,} by the config"
            hint = f"set {key}={longest[side]} if this is the data that is meant, or take the declaration out with '~{key}'"
            raise DataError(Problem(key, message, value=str(tokens), hint=hint))
