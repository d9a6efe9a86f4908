"""Draws what a model attended to: over the photo, or as a map of the tokens that it read."""

from __future__ import annotations

from pathlib import Path

from framework.report.attention_map import draw_attention
from framework.report.overlay import draw_overlay
from framework.tasks.attended import Attended


def draw_attended(path: Path, attended: Attended) -> None:
    """Draws one sequence into a PNG file; see :func:`draw_attention` and :func:`draw_overlay`.

    Raises:
        InputError: a photo's places are those of no square grid.
        RunError: the file cannot be written.
    """
    if isinstance(attended.read, tuple):
        draw_attention(path, attended.weights, attended.written, attended.read)
    else:
        draw_overlay(path, attended.read, attended.weights, attended.written)
