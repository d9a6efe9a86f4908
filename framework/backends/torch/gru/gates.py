"""Products of a tensor with the kernels of several gates, with or without a dropout mask for each gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

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
        beside: ``(units, width)``, one more matrix that multiplies the state as it is, or None; its gradient comes behind the gates'.

    Attributes:
        query: the last product with ``beside``, ``(batch, width)``.
    """

    query: Tensor | None = None

    def __init__(
        self,
        kernel: Tensor,
        bias: Tensor | None,
        masks: Sequence[Tensor],
        rows: int,
        steps: int,
        *,
        backward: bool = False,
        beside: Tensor | None = None,
    ) -> None:
        self.units = kernel.shape[0]
        self.gates = kernel.shape[1]
        self.masks = masks
        self.beside: Product | None = None
        if beside is not None and masks:
            self.beside = Product(beside.t() if backward else beside, None, rows, steps)
        elif beside is not None:
            kernel = torch.cat([kernel, beside], dim=1)
            bias = None if bias is None else functional.pad(bias, (0, beside.shape[1]))
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
            self.query = inner[:, self.gates :]
            return inner[:, width : self.gates]
        if self.beside is not None:
            self.query = self.beside(state)
        for part, gate in zip(gates.chunk(2, dim=1), range(2), strict=True):
            part.add_(self._dropped_product(gate, state))
        return self._dropped_product(2, state) if len(self.products) == 3 else gates[:, width:]

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient of the state ``(batch, units)``, from ``gradient (batch, gates·units)``, that of ``beside`` behind it."""
        if not self.masks:
            return self.products[0](gradient)
        parts = gradient[:, : self.gates].chunk(len(self.masks), dim=1)
        total = torch.mul(self.products[0](parts[0]), self.masks[0], out=self.dropped)
        for product, part, mask in zip(self.products[1:], parts[1:], self.masks[1:], strict=True):
            total.addcmul_(product(part), mask)
        return total if self.beside is None else total.add_(self.beside(gradient[:, self.gates :]))

    def _dropped_product(self, gate: int, state: Tensor) -> Tensor:
        torch.mul(state, self.masks[gate], out=self.dropped)
        assert self.dropped is not None
        return self.products[gate](self.dropped)


class NoStateProduct:
    """What stands for :class:`StateProduct` where each step starts from zeros: the bias, and the product beside it.

    Args:
        bias: ``(3·units,)``, what the product with zeros leaves.
        beside: ``(units, width)``, what multiplies the state before the step, or None for the state itself.
        rows: of the batch.
        steps: of the sequence.
        backward: whether the products are those of the backward pass.
    """

    query: Tensor | None = None

    def __init__(self, bias: Tensor, beside: Tensor | None, rows: int, steps: int, *, backward: bool = False) -> None:
        units = len(bias) // 3
        self.of_gates, self.of_new = bias[: 2 * units], bias[2 * units :].expand(rows, units)
        self.beside = None if beside is None else Product(beside.t() if backward else beside, None, rows, steps)

    def add_to(self, gates: Tensor, state: Tensor) -> Tensor:
        """Adds the bias of z and r to ``gates (batch, 2·units)``; gives that of the candidate, ``(batch, units)``."""
        gates.add_(self.of_gates)
        self.query = state if self.beside is None else self.beside(state)
        return self.of_new

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient of the state ``(batch, units)``, from that of the query ``(batch, width)``."""
        return gradient if self.beside is None else self.beside(gradient)


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
