"""What tests of parity share."""

from __future__ import annotations

from small_experiments import small, text

__all__ = ["small", "text"]
