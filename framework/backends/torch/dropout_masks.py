"""Dropout masks of torch out of whole numbers; see :mod:`framework.backends.base.dropout`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framework.backends.base.dropout import FIRST, SECOND, SPREAD, STARTS, WORD, folded, threshold

CHUNK = 1 << 18
"""Values that are mixed at once on a CPU: they stay in the cores' own caches."""


def dropout_masks(words: Sequence[int], count: int, rows: int, width: int, rate: float, like: Tensor, first_row: int = 0) -> list[Tensor]:
    """What values are multiplied by: 0, or ``1 / (1 - rate)``.

    Args:
        words: of the seed, the step, the call and the kind of mask, 32 bits each.
        count: masks, such as one for each gate.
        rows: of the batch.
        width: values of a row.
        rate: fraction to drop.
        like: in whose data type and on whose device they are.
        first_row: number of the first row within the whole batch, for a process that has a part of it.

    Returns:
        ``count`` masks ``(rows, width)``.
    """
    masks = like.new_zeros(count, rows, width)
    if rate < 1.0:
        numbers = torch.arange(first_row, first_row + rows, dtype=torch.int32, device=like.device)
        chunk = rows if like.device.type != "cpu" else max(1, CHUNK // max(1, width))
        for gate, mask in enumerate(masks):
            one, two = (_mix(_signed(folded([*words, gate], start)) ^ numbers, SPREAD)[:, None] for start in STARTS)
            for start in range(0, rows, chunk):
                part = slice(start, start + chunk)
                mask[part] = _places(one[part], two[part], width) >= threshold(rate)
        masks.mul_(1.0 / (1.0 - rate))
    return list(masks)


def _places(one: Tensor, two: Tensor, width: int) -> Tensor:
    """Evenly spread words ``(rows, width)`` of the rows' two words ``(rows, 1)``."""
    places = torch.arange(width, dtype=torch.int32, device=one.device).mul_(_signed(SPREAD)) ^ one
    _fold_down(places, 16).mul_(_signed(FIRST))
    _fold_down(places, 15).add_(two).mul_(_signed(SECOND))
    return _fold_down(places, 16)


def _mix(words: Tensor, moved: int) -> Tensor:
    """Mixes words in place, after moving them."""
    words.add_(_signed(moved))
    _fold_down(words, 16).mul_(_signed(FIRST))
    _fold_down(words, 15).mul_(_signed(SECOND))
    return _fold_down(words, 16)


def _fold_down(words: Tensor, bits: int) -> Tensor:
    """``words ^= words >> bits`` in place; torch's shift would bring the sign along."""
    return words.bitwise_xor_((words >> bits).bitwise_and_(WORD >> bits))


def _signed(word: int) -> int:
    """The same 32 bits as torch's int32 reads them."""
    return word - (1 << 32) if word >> 31 else word
