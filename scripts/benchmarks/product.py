"""The machine's own limit: the time that a task's matrix products take alone, each by the fastest product at hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.alone import alone
from framework.errors import GateworkError

HIGHEST = 1.05
"""Share of the limit above which it was no limit; what is above 1 is the clock's own noise."""

_SECONDS, _ROUNDS, _SHORTEST = 0.5, 7, 1e-3
"""For each way to make a product: seconds to measure it for, rounds at least, and seconds that one round lasts at least."""


@dataclass(frozen=True)
class Product:
    """``(rows, inner) · (inner, columns)``, so many times."""

    rows: int
    inner: int
    columns: int
    times: int = 1


def trained(product: Product) -> list[Product]:
    """A product with those of the two gradients: one for each of its inputs, and one over all the rows for its weights."""
    backward = Product(product.rows, product.columns, product.inner, product.times)
    return [product, backward, Product(product.inner, product.rows * product.times, product.columns)]


class BeyondLimit(GateworkError):
    """A figure shows more than the machine can do, so one of the two was measured wrongly."""


def limit_seconds(products: Sequence[Product], dtype: str = "float32") -> float:
    """Least seconds that the products take, measured in a process where nothing else runs.

    Args:
        products: of one call of what is measured.
        dtype: ``float32``, ``bfloat16``, or ``int8`` with float32 around it.
    """
    shapes = [(one.rows, one.inner, one.columns) for one in products]
    seconds: dict[tuple[int, int, int], float] = alone(_measure, tuple(dict.fromkeys(shapes)), dtype)
    return sum(seconds[shape] * one.times for shape, one in zip(shapes, products, strict=True))


def share(what: str, limit: float, seconds: float) -> str:
    """The limit's part of a time, in percent.

    Raises:
        BeyondLimit: the time is shorter than the limit.
    """
    if limit > HIGHEST * seconds:
        raise BeyondLimit(
            f"{what} took {seconds * 1e3:.3f} ms, {limit / seconds:.0%} of what its matrix products alone allow ({limit * 1e3:.3f} ms): "
            "one of the two was measured wrongly; measure again on a machine that does nothing else"
        )
    return f"{limit / seconds:.0%}"


def _measure(shapes: Sequence[tuple[int, int, int]], dtype: str) -> dict[tuple[int, int, int], float]:
    import torch

    with torch.inference_mode():
        return {shape: min(_least(call) for call in _ways(*shape, dtype)) for shape in shapes}


def _least(call: Callable[[], object]) -> float:
    """Seconds of a call at its fastest, once it is warm."""
    rounds, repeats, least = 0, 1, float("inf")
    end = time.perf_counter() + _SECONDS
    while rounds < _ROUNDS or time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(repeats):
            call()
        seconds = (time.perf_counter() - started) / repeats
        if rounds:  # the first one warms up
            least = min(least, seconds)
        repeats, rounds = max(repeats, round(_SHORTEST / max(seconds, 1e-9))), rounds + 1
    return least


def _ways(rows: int, inner: int, columns: int, dtype: str) -> list[Callable[[], object]]:
    """Torch's own product, oneDNN's prepacked one, and NumPy's; in int8 torch's own."""
    import numpy as np
    import torch

    if dtype == "int8":
        from framework.backends.torch.quantized import Quantized

        return [partial(Quantized(torch.randn(inner, columns), None), torch.randn(rows, inner))]
    kind = getattr(torch, dtype)
    state, weight = torch.randn(rows, inner, dtype=kind), torch.randn(columns, inner, dtype=kind)
    transposed = weight.t().contiguous()
    ways: list[Callable[[], object]] = [lambda: torch.mm(state, transposed)]
    if dtype == "float32":
        left, right = state.numpy(), np.ascontiguousarray(weight.t().numpy())
        ways.append(lambda: left @ right)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        torch.ops.mkldnn._linear_pointwise(state, packed, None, "none", [], "")
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(state, packed, None, "none", [], ""))
    except (AttributeError, RuntimeError):  # private operators: they may go
        pass
    return ways
