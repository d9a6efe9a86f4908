"""What tests of pictures share: the figures themselves, which say what is on them."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is written into a file during the test, the latest last."""
    written: list[Figure] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: Any, **more: Any) -> None:
        written.append(figure)
        save(figure, *arguments, **more)

    monkeypatch.setattr(Figure, "savefig", saved)
    return written
