"""Matrix products of the scan: oneDNN's prepacked one where it is there and faster, the default one elsewhere.

Which is faster is measured where a run wants it (:mod:`framework.backends.base.choices`); the rules here decide elsewhere.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from framework.backends.base.choices import active, seconds_of, size_class

PACKED_SIZE = 1 << 17
"""From how many weights on the prepacked product can be faster; below, its call costs more than it saves."""

PACKED_SIZE_AVX2 = 1 << 21
"""The same for a scan's products with AVX2, where only matrices that do not fit the cores' own caches gain: 512 units lose, 1024 gain."""

PACKED_CALLS, PACKED_CALLS_AVX512 = 32, 8
"""From how many products with one matrix on packing pays. It costs as much as 2 to 4 products of 64 rows, and saves a fifth of each with
AVX2 and more than half with AVX-512 (see :func:`packs_everything`)."""

LARGE = 1 << 24
"""From how many multiplications on a single product is worth packing one side for."""

SMALLEST_MEASURED = 1 << 14
"""Weights below which nothing is measured: the calls are all that costs."""

MEASURED = 1 << 30
"""Multiplications that one product is measured with, at most."""

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
        if rows and packs(weight) and self._way(rows, calls) == "packed":
            self.packed = pack(weight, rows)
        else:
            self.out = weight.new_empty(rows, weight.shape[1])

    def __call__(self, x: Tensor) -> Tensor:
        """``(rows, outputs)``."""
        if self.packed is not None:
            return packed_product(x, self.packed, self.bias)
        if self.bias is None:
            return torch.mm(x, self.weight, out=self.out)
        return torch.addmm(self.bias, x, self.weight, out=self.out)

    def _way(self, rows: int, calls: int) -> str:
        rule = "packed" if _packing_pays(self.weight.numel(), rows, calls) else "default"
        if calls < 2 or self.weight.numel() < SMALLEST_MEASURED:
            return rule
        weight, inputs, outputs = self.weight, *self.weight.shape

        def default() -> float:
            x, out = weight.new_ones(rows, inputs), weight.new_empty(rows, outputs)
            return calls * seconds_of(lambda: torch.mm(x, weight, out=out))

        def packed() -> float:
            x, made = weight.new_ones(rows, inputs), pack(weight, rows)
            return seconds_of(partial(pack, weight, rows)) + calls * seconds_of(partial(packed_product, x, made))

        turned = "" if weight.is_contiguous() else " turned"
        key = f"{size_class(calls)} products {size_class(rows)} x {inputs} x {outputs}{turned} {_name(weight)}"
        with torch.no_grad():
            return active().choose(key, rule, {"default": default, "packed": packed})


def matmul(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """One large product, ``a (rows, inner) @ b (inner, columns) + bias``."""
    if matmul_packs(a, b):
        return packed_product(a, pack(b, a.shape[0]), bias)
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def matmul_packs(a: Tensor, b: Tensor) -> bool:
    """Whether :func:`matmul` packs ``b`` for one product: where that was measured to be faster, or by a rule."""
    rows, inner, columns = *a.shape, b.shape[1]
    if rows * inner * columns < LARGE or a.stride(-1) != 1 or not packs(a):
        return False
    some = a[: _measured_rows(rows, inner * columns)]
    share = len(some) / rows

    def default() -> float:
        return seconds_of(lambda: torch.mm(some, b)) / share

    def packed() -> float:
        made = pack(b, rows)
        return seconds_of(lambda: pack(b, rows)) + seconds_of(lambda: packed_product(some, made)) / share

    turned = "" if b.is_contiguous() else " turned"
    # Where it is the gradient of a weight, the inner size is that of the batch: with padding left out, another one at each step.
    key = f"product {size_class(rows)} x {size_class(inner)} x {size_class(columns)}{turned} {_name(a)}"
    rule = "packed" if packs_everything() else "default"
    with torch.no_grad():
        return active().choose(key, rule, {"default": default, "packed": packed}) == "packed"


def turned(a: Tensor, other: Tensor) -> Tensor:
    """``a (rows, n)`` as ``(n, rows)`` for :func:`matmul_turned` with ``other (rows, m)``: in that order in memory where that pays."""
    return a.t().contiguous() if _turning_pays(a, other) else a.t()


def _turning_pays(a: Tensor, other: Tensor) -> bool:
    rows, n, m = *a.shape, other.shape[1]
    if not packs(a) or not rows:
        return False
    rule = "turned" if packs_everything() else "default"
    if rows * n * m < LARGE:
        return rule == "turned"
    some = _measured_rows(rows, n * m)
    a, other, share = a[:some], other[:some], some / rows

    def default() -> float:
        out = a.new_empty(m, n)
        return seconds_of(lambda: torch.mm(other.t(), a, out=out)) / share

    def by_turning() -> float:
        out, found = a.new_empty(m, n), a.new_ones(n, m)
        return seconds_of(lambda: packed_product(a.t().contiguous(), pack(other, n))) / share + seconds_of(lambda: out.copy_(found.t()))

    key = f"gradient {size_class(rows)} x {m} x {n} {_name(a)}"
    with torch.no_grad():
        return active().choose(key, rule, {"default": default, "turned": by_turning}) == "turned"


def matmul_turned(a: Tensor, b_turned: Tensor, out: Tensor) -> Tensor:
    """Writes ``aᵀ @ b`` to ``out (m, n)``, for ``a (rows, m)`` and ``b_turned (n, rows)``, some of the rows of what :func:`turned` gave."""
    large = a.numel() * b_turned.shape[0] >= LARGE
    if large and b_turned.is_contiguous() and a.stride(-1) == 1 and packs(a):
        return out.copy_(packed_product(b_turned, pack(a, b_turned.shape[0])).t())
    if len(a) == 1:  # a product over one row is none: 2.5 times as fast at 1024 units
        return torch.mul(a.t(), b_turned.t(), out=out)
    return torch.mm(a.t(), b_turned.t(), out=out)


def pack(b: Tensor, rows: int) -> Tensor:
    """``b (inner, columns)`` laid out for products with so many rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(b.t(), rows)
    return packed


def packed_product(x: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x (rows, inner)`` times what :func:`pack` made, with ``bias (columns,)``."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, packed, bias, "none", [], "")
    return result


def _measured_rows(rows: int, each: int) -> int:
    """How many rows are measured with, of ``each`` multiplications: some 10 milliseconds' worth; the others take as long as these."""
    return min(rows, max(64, MEASURED // max(1, each)))


def _name(tensor: Tensor) -> str:
    """Data type and threads, which a choice holds for."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {torch.get_num_threads()} threads"
