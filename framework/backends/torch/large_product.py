"""A product with a large matrix, whose derivatives are products with large matrices too: oneDNN's prepacked ones where they are faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from framework.backends.torch.gru.products import matmul, matmul_packs, packs
from framework.backends.torch.second_order import plain_gradients
from framework.backends.torch.tracing import ordinary

SMALLEST = 256
"""How many rows, inputs and outputs there are at least; a narrow output, such as characters, gains nothing."""


def large_product(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x · kernel + bias``, differentiable: the default product, or the prepacked one where it is there and all sides are large.

    Args:
        x: ``(…, features)``.
        kernel: ``(features, units)``.
        bias: ``(units,)``, or None.
    """
    if not ordinary(x, kernel, bias):
        return functional.linear(x, kernel.t(), bias)  # and nothing is asked of the number of rows, which may vary in what is recorded
    rows = x.numel() // max(1, x.shape[-1])
    large = min(rows, *kernel.shape) >= SMALLEST
    same = x.dtype == kernel.dtype and (bias is None or bias.dtype == x.dtype)
    if not large or not same or not packs(x) or torch.is_autocast_enabled(x.device.type):
        return functional.linear(x, kernel.t(), bias)
    flat = x.reshape(rows, -1)
    if not matmul_packs(flat, kernel):
        return functional.linear(x, kernel.t(), bias)
    product: Tensor = _Product.apply(flat, kernel, bias)  # type: ignore[no-untyped-call]
    return product.view(*x.shape[:-1], kernel.shape[1])


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernel, bias)
        return matmul(x, kernel, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, bias = ctx.saved_tensors
        needed: tuple[bool, ...] = ctx.needs_input_grad
        if torch.is_grad_enabled() or not ordinary(gradient):
            return plain_gradients(_plain, (x, kernel, bias), needed, (gradient,))
        gradient = gradient.contiguous()
        d_x = matmul(gradient, kernel.t()) if needed[0] else None
        # The smaller side is turned over: the product then comes out in the kernel's own order.
        d_kernel = matmul(x.t().contiguous(), gradient) if needed[1] else None
        return d_x, d_kernel, gradient.sum(0) if needed[2] else None


def _plain(x: Tensor, kernel: Tensor, bias: Tensor | None) -> tuple[Tensor]:
    return (functional.linear(x, kernel.t(), bias),)
