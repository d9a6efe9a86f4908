"""Whether a model looks at what it names."""

from __future__ import annotations

import numpy as np
import pytest

from framework.metrics.pointing import pointing

TOKENS = ("a", "red", "square", "left", "of", "a", "blue", "square", "<end>")
REGIONS = {("red", "square"): (0.0, 0.0, 0.5, 0.5), ("blue", "square"): (0.5, 0.0, 1.0, 0.5)}


def looking(*places: tuple[float, ...]) -> np.ndarray:
    """Attention over 2 x 2 places, a row a token; tokens that none is given for look everywhere."""
    rows = [list(place) for place in places] + [[0.25] * 4] * (len(TOKENS) - len(places))
    return np.array(rows, np.float32)


def test_each_word_of_a_name_counts() -> None:
    here, there, below = (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
    all_right = looking(below, here, here, below, below, below, there, there)
    assert list(pointing(TOKENS, all_right, (2, 2), REGIONS)) == [(True, True), (True, True)]
    swapped = looking(below, there, here, below, below, below, there, below)
    assert list(pointing(TOKENS, swapped, (2, 2), REGIONS)) == [(False, True), (True, False)]


def test_the_centre_of_what_is_looked_at_decides() -> None:
    torn = (0.5, 0.5, 0.0, 0.0)  # half here and half there is on the border, which belongs to the right one
    assert list(pointing(TOKENS, looking(torn, torn, torn), (2, 2), {("red", "square"): REGIONS["red", "square"]})) == [(False, False)]
    nearly = (0.8, 0.2, 0.0, 0.0)
    assert list(pointing(TOKENS, looking(nearly, nearly, nearly), (2, 2), {("red", "square"): REGIONS["red", "square"]})) == [(True, True)]


@pytest.mark.parametrize("grid", [(2, 3), (3, 2), (1, 6)])
def test_places_come_row_by_row(grid: tuple[int, int]) -> None:
    rows, columns = grid
    for place in range(6):
        row, column = divmod(place, columns)
        box = (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
        attention = np.eye(6, dtype=np.float32)[[place]]
        assert list(pointing(("cat",), attention, grid, {("cat",): box})) == [(True,)]
        other = np.eye(6, dtype=np.float32)[[(place + 1) % 6]]
        assert list(pointing(("cat",), other, grid, {("cat",): box})) == [(False,)]


def test_what_is_not_said_does_not_count() -> None:
    assert list(pointing(("a", "dog"), np.full((2, 4), 0.25), (2, 2), REGIONS)) == []
    assert list(pointing((), np.zeros((0, 4)), (2, 2), REGIONS)) == []
