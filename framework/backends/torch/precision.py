"""Whether autocast chooses the data types of a computation."""

from __future__ import annotations

import torch


def autocasts(device: str) -> bool:
    """Whether autocast is on for a kind of device; one that it does not know, such as ``meta``, has none."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
