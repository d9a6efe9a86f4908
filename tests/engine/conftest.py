"""What tests of runs share."""

from __future__ import annotations

from small_experiments import small, text

__all__ = ["small", "text"]
