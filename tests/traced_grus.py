"""GRUs that tests record, transform and count, and two other ways to their numbers: plain operations, and torch's own layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framework.backends.torch import GRU
from framework.backends.torch.gru.loop import Weights, loop

ROWS, STEPS, FEATURES, UNITS = 2, 3, 2, 3

CELLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"use_bias": False},
    "reset before": {"reset_after": False},
    "silu": {"activation": "silu", "recurrent_activation": "hard_sigmoid"},
    "backwards": {"go_backwards": True},
}
EVERY_CELL = pytest.mark.parametrize("name", CELLS)


def layer(units: int = UNITS, dtype: str = "float64", **arguments: Any) -> GRU:
    torch.manual_seed(1)
    options = {"return_sequences": True, "bias_initializer": "glorot_uniform", "input_dim": FEATURES, **arguments}
    return GRU(units, dtype=dtype, **options).eval()


def sequence(rows: int = ROWS, steps: int = STEPS, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, steps, FEATURES, dtype=dtype, generator=torch.Generator().manual_seed(2))


def plain(gru: GRU, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The layer's outputs from plain operations."""
    x, mask = x.transpose(0, 1), None if mask is None else mask.t()
    if gru.go_backwards:
        x, mask = x.flip(0), None if mask is None else mask.flip(0)
    state = x.new_zeros(x.shape[1], gru.units)
    return loop(x, state, Weights(gru.kernel, gru.recurrent_kernel, gru.bias), gru.cell, mask).transpose(0, 1)


def native(gru: GRU) -> nn.GRU:
    """torch's own layer with the same weights: gates r, z, n for z, r, h, and transposed."""
    theirs = nn.GRU(FEATURES, gru.units, batch_first=True, dtype=gru.kernel.dtype)

    def reordered(weight: Tensor) -> Tensor:
        z, r, h = weight.detach().chunk(3, dim=-1)
        return torch.cat([r, z, h], dim=-1).t()

    bias = [None, None] if gru.bias is None else [reordered(one) for one in gru.bias]
    values = {"weight_ih_l0": reordered(gru.kernel), "weight_hh_l0": reordered(gru.recurrent_kernel), "bias_ih_l0": bias[0]}
    values["bias_hh_l0"] = bias[1]
    with torch.no_grad():
        for name, value in values.items():
            getattr(theirs, name).copy_(torch.zeros(()) if value is None else value)
    return theirs
