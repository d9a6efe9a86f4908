"""Shape, weight and cost rules, one file for each family of layer kinds; importing this package makes them known."""

from __future__ import annotations

from framework.builder.kinds import dense, elementwise, merging, recurrent

__all__ = ["dense", "elementwise", "merging", "recurrent"]
