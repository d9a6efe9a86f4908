"""What flows along the wires of a model."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Signal(NamedTuple):
    """A tensor and its mask.

    Attributes:
        value: ``(batch, time, …)`` or ``(batch, …)``; in a decoding step ``(rows, …)``, without time.
        mask: which steps count, ``(batch, time) bool``, in a decoding step ``(rows,) bool``; None: all of them.
    """

    value: Tensor
    mask: Tensor | None = None
