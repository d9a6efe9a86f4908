"""Shape, weight and cost rules, one file for each family of layer kinds; importing this package makes them known."""

from __future__ import annotations

from framework.builder.kinds import attention, dense, elementwise, merging, multi_head_attention, pooling, recurrent

__all__ = ["attention", "dense", "elementwise", "merging", "multi_head_attention", "pooling", "recurrent"]
