"""tanh by the logistic function, which torch computes several times as fast on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor


def by_logistic(tensor: Tensor) -> bool:
    """Whether that is worth it, and exact enough: in float32 on a CPU, where the two differ by 2e-7 at most."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def tanh_of_half_(doubled: Tensor) -> Tensor:
    """``tanh(x) = 2 / (1 + exp(-2x)) - 1`` of ``2x``, in its place."""
    return doubled.sigmoid_().mul_(2).sub_(1)


def fast_tanh(x: Tensor) -> Tensor:
    """Tanh without a derivative."""
    return tanh_of_half_(x * 2) if by_logistic(x) else torch.tanh(x)
