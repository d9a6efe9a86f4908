"""Products of a tensor with the kernels of several gates, with or without a dropout mask for each gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framework.backends.torch.gru.products import Product, matmul, matmul_turned


class StateProduct:
    """The products of the state with the recurrent kernel, step by step, and their gradients.

    Without masks, one product serves all the gates. With masks, each gate multiplies its own dropped state.

    Args:
        kernel: ``(units, gates·units)``.
        bias: ``(gates·units,)`` or None.
        masks: none, or one ``(batch, units)`` for each gate.
        rows: of the batch.
        steps: of the sequence.
        backward: whether the products are those of the backward pass.
    """

    def __init__(
        self, kernel: Tensor, bias: Tensor | None, masks: Sequence[Tensor], rows: int, steps: int, *, backward: bool = False
    ) -> None:
        self.units = kernel.shape[0]
        self.masks = masks
        kernels = kernel.chunk(len(masks), dim=1) if masks else (kernel,)
        biases: Sequence[Tensor | None] = [None] * len(kernels) if bias is None else bias.chunk(len(masks)) if masks else (bias,)
        if backward:
            self.products = [Product(one.t(), None, rows, steps) for one in kernels]
        else:
            self.products = [Product(one, its, rows, steps) for one, its in zip(kernels, biases, strict=True)]
        self.dropped = kernel.new_empty(rows, self.units) if masks else None

    def add_to(self, gates: Tensor, state: Tensor) -> Tensor:
        """Adds the products for z and r to ``gates (batch, 2·units)``; gives that for the candidate, ``(batch, units)`` or nothing wide."""
        width = 2 * self.units
        if not self.masks:
            inner = self.products[0](state)
            gates.add_(inner[:, :width])
            return inner[:, width:]
        for part, gate in zip(gates.chunk(2, dim=1), range(2), strict=True):
            part.add_(self._dropped_product(gate, state))
        return self._dropped_product(2, state) if len(self.products) == 3 else gates[:, width:]

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient of the state ``(batch, units)``, from ``gradient (batch, gates·units)``."""
        if not self.masks:
            return self.products[0](gradient)
        parts = gradient.chunk(len(self.masks), dim=1)
        total = torch.mul(self.products[0](parts[0]), self.masks[0], out=self.dropped)
        for product, part, mask in zip(self.products[1:], parts[1:], self.masks[1:], strict=True):
            total.addcmul_(product(part), mask)
        return total

    def _dropped_product(self, gate: int, state: Tensor) -> Tensor:
        torch.mul(state, self.masks[gate], out=self.dropped)
        assert self.dropped is not None
        return self.products[gate](self.dropped)


def project(x: Tensor, kernel: Tensor, bias: Tensor | None, masks: Sequence[Tensor]) -> Tensor:
    """``x (time, batch, features)`` times ``kernel (features, gates·units)``; masks ``(batch, features)`` drop each gate's ``x``."""
    rows = x.shape[0] * x.shape[1]
    if not masks:
        return matmul(x.reshape(rows, -1), kernel, bias).view(*x.shape[:2], kernel.shape[1])
    result = x.new_empty(*x.shape[:2], kernel.shape[1])
    parts = result.chunk(len(masks), dim=-1)
    biases = [None] * len(masks) if bias is None else bias.chunk(len(masks))
    for part, mask, its_kernel, its_bias in zip(parts, masks, kernel.chunk(len(masks), dim=1), biases, strict=True):
        part.copy_(matmul((x * mask).reshape(rows, -1), its_kernel, its_bias).view_as(part))
    return result


def project_back(gradient: Tensor, kernel: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """The gradient of ``x`` in :func:`project`."""
    shape = (*gradient.shape[:2], kernel.shape[0])
    flat = gradient.flatten(0, 1)
    if not masks:
        return matmul(flat, kernel.t()).view(shape)
    total = gradient.new_zeros(shape)
    for part, mask, its_kernel in zip(flat.chunk(len(masks), dim=1), masks, kernel.chunk(len(masks), dim=1), strict=True):
        total.addcmul_(matmul(part, its_kernel.t()).view(shape), mask)
    return total


def kernel_gradient(x: Tensor, turned: Tensor, masks: Sequence[Tensor], out: Tensor) -> None:
    """Writes the gradient of a kernel to ``out (inputs, gates·units)``.

    Args:
        x: ``(time, batch, inputs)``.
        turned: the gradient of the gates, ``(gates·units, time·batch)``.
        masks: none, or one ``(batch, inputs)`` for each gate.
        out: where to.
    """
    rows = x.shape[0] * x.shape[1]
    if not masks:
        matmul_turned(x.reshape(rows, -1), turned, out)
        return
    count = len(masks)
    for part, mask, its_out in zip(turned.chunk(count), masks, out.chunk(count, dim=1), strict=True):
        matmul_turned((x * mask).reshape(rows, -1), part, its_out)
