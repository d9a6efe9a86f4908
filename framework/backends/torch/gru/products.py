"""Matrix products of the scan: oneDNN's prepacked one where it is there and faster, the default one elsewhere."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

PACKED_SIZE = 1 << 17
"""From how many weights on the prepacked product can be faster; below, its call costs more than it saves."""

PACKED_SIZE_AVX2 = 1 << 21
"""The same for a scan's products with AVX2, where only matrices that do not fit the cores' own caches gain: 512 units lose, 1024 gain."""

PACKED_CALLS, PACKED_CALLS_AVX512 = 32, 8
"""From how many products with one matrix on packing pays. It costs as much as 2 to 4 products of 64 rows, and saves a fifth of each with
AVX2 and more than half with AVX-512 (see :func:`packs_everything`)."""

LARGE = 1 << 24
"""From how many multiplications on a single product is worth packing one side for."""

FEW_ROWS = 4
"""Below so many rows, a product only reads the weights once: packing costs as much as 20 of them, and saves less of each."""


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether oneDNN's prepacked product is there for a data type and gives right numbers.

    The operators are private to torch, so they are tried once against the default product, on sizes that do not fill a block.
    """
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        generator = torch.Generator().manual_seed(0)
        wide = torch.rand(7, 70, generator=generator).sub_(0.5).to(dtype)
        x = wide[:, 5:42]  # rows apart in memory, as the scan's are
        weight = torch.rand(37, 19, generator=generator).sub_(0.5).to(dtype)
        bias = torch.rand(19, generator=generator).to(dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.t(), len(x))
        found = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        expected = torch.addmm(bias.double(), x.double(), weight.double())
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    allowed = 1e-5 if dtype == torch.float32 else 3e-2
    return bool(((found.double() - expected).abs() <= allowed).all())


def packs(tensor: Tensor) -> bool:
    """Whether the prepacked product can be used for a tensor's device and data type here and now."""
    enabled: object = torch.backends.mkldnn.enabled
    return tensor.device.type == "cpu" and enabled is True and _packs(tensor.dtype)


@cache
def packs_everything() -> bool:
    """Whether oneDNN's product is the faster one for large matrices too.

    Measured on AMD CPUs with AVX-512: about 400 against 140 GFLOP/s on 2 cores, as the default library takes its AVX2 path there. With
    AVX2, the default one is as fast, and can write where it is told.
    """
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def _packing_pays(size: int, rows: int, calls: int) -> bool:
    smallest, fewest = (PACKED_SIZE, PACKED_CALLS_AVX512) if packs_everything() else (PACKED_SIZE_AVX2, PACKED_CALLS)
    return size >= smallest and calls >= (fewest if rows >= FEW_ROWS else 8 * fewest)


class Product:
    """``x @ weight + bias`` for many ``x (rows, inputs)``, one after the other.

    A result is valid until the next call: the default product writes to the same memory each time.

    Args:
        weight: ``(inputs, outputs)``, of any strides.
        bias: ``(outputs,)`` or None.
        rows: of every ``x``.
        calls: how many products are to come, for whether packing pays.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, calls: int) -> None:
        self.weight, self.bias = weight, bias
        self.packed: Tensor | None = None
        if rows and _packing_pays(weight.numel(), rows, calls) and packs(weight):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.t(), rows)
        else:
            self.out = weight.new_empty(rows, weight.shape[1])

    def __call__(self, x: Tensor) -> Tensor:
        """``(rows, outputs)``."""
        if self.packed is not None:
            result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
            return result
        if self.bias is None:
            return torch.mm(x, self.weight, out=self.out)
        return torch.addmm(self.bias, x, self.weight, out=self.out)


def matmul(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """One large product, ``a (rows, inner) @ b (inner, columns) + bias``."""
    if _packs_large(a, a.shape[0] * b.numel()):
        packed = torch.ops.mkldnn._reorder_linear_weight(b.t(), a.shape[0])
        result: Tensor = torch.ops.mkldnn._linear_pointwise(a, packed, bias, "none", [], "")
        return result
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def turned(a: Tensor) -> Tensor:
    """``a (rows, columns)`` as ``(columns, rows)`` for :func:`matmul_turned`: in that order in memory where the product needs it so."""
    return a.t().contiguous() if packs_everything() and packs(a) else a.t()


def matmul_turned(a: Tensor, b_turned: Tensor, out: Tensor) -> Tensor:
    """Writes ``aᵀ @ b`` to ``out (m, n)``, for ``a (rows, m)`` and ``b_turned (n, rows)``, some of the rows of what :func:`turned` gave."""
    if b_turned.is_contiguous() and _packs_large(a, a.numel() * b_turned.shape[0]):
        packed = torch.ops.mkldnn._reorder_linear_weight(a.t(), b_turned.shape[0])
        return out.copy_(torch.ops.mkldnn._linear_pointwise(b_turned, packed, None, "none", [], "").t())
    if len(a) == 1:  # a product over one row is none: 2.5 times as fast at 1024 units
        return torch.mul(a.t(), b_turned.t(), out=out)
    return torch.mm(a.t(), b_turned.t(), out=out)


def _packs_large(a: Tensor, multiplications: int) -> bool:
    return multiplications >= LARGE and a.stride(-1) == 1 and packs_everything() and packs(a)
