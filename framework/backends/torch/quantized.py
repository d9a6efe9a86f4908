"""A product in int8, by torch's own kernels: the weights quantised once, what they are multiplied with at every call."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from framework.errors import UnsupportedArgument

ENGINES = ("x86", "fbgemm", "onednn", "qnnpack")
"""torch's libraries for int8, the first that is there is taken."""


class Quantized:
    """``x · kernel + bias`` with ``kernel`` in int8, one scale a column, and ``x`` quantised at each call, with one scale for all rows.

    Args:
        kernel: ``(features, units) float32``.
        bias: ``(units,) float32``, or None.

    Raises:
        UnsupportedArgument: the kernel is not on a CPU, or this torch has no int8 kernel for it.
    """

    def __init__(self, kernel: Tensor, bias: Tensor | None) -> None:
        engine = next((one for one in ENGINES if one in torch.backends.quantized.supported_engines), None)
        if kernel.device.type != "cpu" or engine is None:
            where = f"on a {kernel.device.type}" if kernel.device.type != "cpu" else "in this build of torch"
            raise UnsupportedArgument(f"precision int8: torch has no int8 product {where}; expected float32 or bfloat16")
        turned = kernel.t().contiguous()
        # Symmetric, so that a weight of 0 stays 0; a column of zeros alone has any scale.
        scales = (turned.abs().amax(dim=1) / 127).clamp_min(torch.finfo(torch.float32).tiny).double()
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = engine
        try:
            with warnings.catch_warnings():
                # Of tensors that hold int8, which the packed form is made of alone; the product itself stays.
                warnings.filterwarnings("ignore", message="torch.quantize_per_")
                held = torch.quantize_per_channel(turned, scales, torch.zeros(len(turned), dtype=torch.int64), 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(held, None if bias is None else bias.detach())
        finally:
            torch.backends.quantized.engine = before
        # Without these instructions two products of 8 bits are added in 16, which 7 bits do not overflow.
        self._reduced = not torch.cpu._is_vnni_supported()

    def __call__(self, x: Tensor) -> Tensor:
        """``(rows, features)`` to ``(rows, units)``."""
        result: Tensor = torch.ops.quantized.linear_dynamic.default(x, self._packed, self._reduced)
        return result
