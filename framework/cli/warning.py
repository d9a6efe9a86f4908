"""What a command has to say beside its answer."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """Shows one line of something unexpected that does not stop the command."""
    print(f"warning: {text}", file=sys.stderr)
