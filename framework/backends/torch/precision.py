"""Data types: which a layer can have, and whether autocast chooses those of a computation."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Data types that a layer can have of its own."""

MIXED = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
"""Keras' mixed policies: float32 weights, and what is computed in."""


def autocasts(device: str) -> bool:
    """Whether autocast is on for a kind of device; one that it does not know, such as ``meta``, has none."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def compute_dtype(device: str, variable: torch.dtype, policy: str | None) -> torch.dtype:
    """What a layer computes in: autocast decides where it is on, then the mixed policy, then the weights' own data type."""
    if autocasts(device) and variable == torch.float32:
        return torch.get_autocast_dtype(device)
    return MIXED.get(policy or "", variable)
