"""What the machine itself gives: the fastest plain matrix product of a size, the limit of every recurrent step."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.turns import in_turns


def product_seconds(rows: int, features: int, units: int, dtype: str = "float32") -> float:
    """Seconds of ``(rows, features) · (features, units)`` by the fastest of torch's own product, oneDNN's prepacked one and NumPy's.

    Args:
        rows: of the left matrix.
        features: columns of the left matrix.
        units: columns of the right one.
        dtype: ``float32`` or ``bfloat16``.
    """
    import numpy as np
    import torch

    kind = getattr(torch, dtype)
    state, weight = torch.randn(rows, features, dtype=kind), torch.randn(units, features, dtype=kind)
    transposed = weight.t().contiguous()
    calls: dict[str, Callable[[], object]] = {"torch": lambda: torch.mm(state, transposed)}
    if dtype == "float32":
        left, right = state.numpy(), np.ascontiguousarray(weight.t().numpy())
        calls["numpy"] = lambda: left @ right
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        torch.ops.mkldnn._linear_pointwise(state, packed, None, "none", [], "")
        calls["onednn"] = lambda: torch.ops.mkldnn._linear_pointwise(state, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):  # private operators: they may go
        pass
    with torch.inference_mode():
        return min(in_turns(calls, rounds=5).values())
