"""A product with a matrix that does not change: prepared once, fast at every step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from framework.backends.torch.gru.products import PACKED_SIZE, pack, packed_product, packs
from framework.backends.torch.quantized import Quantized
from framework.backends.torch.tracing import made_plainly
from framework.decoding.precision import LARGE, Precision

MANY = 16
"""Rows that oneDNN's layout for several rows is made for; at 2 to 64 rows none was faster by more than the measurements' noise."""


class PreparedProduct:
    """``x · kernel + bias`` for a few rows at a time, again and again.

    On CPUs a large float32 kernel is kept in oneDNN's own layout, which at one row reads it about 1.7 times as fast as the default
    product (155 against 265 µs for 1024 × 3072 on 2 cores with AVX2). Each such call costs 20 to 30 µs more than a plain one, so
    small kernels stay as they are, in every precision.

    Args:
        kernel: ``(features, units)``; the values of now are used where it is packed.
        bias: ``(units,)``, or None.
        precision: of a large float32 kernel; others are multiplied as they are.

    Raises:
        UnsupportedArgument: ``precision`` is int8, and there is no kernel for it here.
    """

    def __init__(self, kernel: Tensor, bias: Tensor | None = None, precision: Precision = "float32") -> None:
        if kernel.numel() < LARGE or kernel.dtype != torch.float32:
            precision = "float32"
        self.dtype = torch.bfloat16 if precision == "bfloat16" else kernel.dtype
        self.rounds = self.dtype != kernel.dtype
        self.kernel = kernel.detach().to(self.dtype)
        self.bias = None if bias is None else bias.detach().to(self.dtype)
        self.quantized: Callable[[Tensor], Tensor] | None = Quantized(kernel.detach(), bias) if precision == "int8" else None
        self.packing = kernel.numel() >= PACKED_SIZE and packs(self.kernel) and not made_plainly()
        # oneDNN lays the kernel out for a product with a vector otherwise than for one with several rows. Two threads may both make
        # the same layout at first; either serves both.
        self._packed: dict[int, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """``(rows, features)`` to ``(rows, units)``."""
        if self.quantized is not None:
            return self.quantized(x)
        return self._product(x.to(self.dtype)).to(x.dtype) if self.rounds else self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        if not self.packing:
            return torch.mm(x, self.kernel) if self.bias is None else torch.addmm(self.bias, x, self.kernel)
        made_for = 1 if x.shape[0] == 1 else MANY
        packed = self._packed.get(made_for)
        if packed is None:
            packed = self._packed[made_for] = pack(self.kernel, made_for)
        return packed_product(x, packed, self.bias)
