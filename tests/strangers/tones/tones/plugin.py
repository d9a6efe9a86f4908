"""What this package brings: registered when Gatework imports this module. Neither torch nor TensorFlow is imported here."""

from __future__ import annotations

from tones import data, layer, task  # noqa: F401
