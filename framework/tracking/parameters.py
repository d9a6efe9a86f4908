"""A resolved config as the flat names and texts that a tracking store keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEY_LENGTH = 250
PARAMETER_LENGTH = 6000
TAG_LENGTH = 5000
"""Characters that MLflow keeps of a key, a parameter's value and a tag's value; it cuts longer values short without a word.

Source: MLflow documentation, "REST API", runs/log-batch.
"""

_WHERE = "see config/resolved.yaml"


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Leaves of nested mappings by dotted key, as text: strings as they are, all else as JSON.

    What is too long for a store is not cut short but left to the config's file.
    """
    if isinstance(value, Mapping) and value:
        leaves: dict[str, str] = {}
        for key, inner in value.items():
            leaves.update(flatten(inner, f"{path}.{key}" if path else str(key)))
        return leaves
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(path) > KEY_LENGTH:
        return {}
    return {path: whole(text, PARAMETER_LENGTH, _WHERE)}


def whole(text: str, length: int, where: str) -> str:
    """``text``, or where to read it if it is longer than ``length``."""
    return text if len(text) <= length else f"({len(text):,} characters: {where})"
