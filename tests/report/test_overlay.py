"""Overlays: bright where the attention is, a panel for each word, any photo's shape."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from framework.errors import InputError, RunError
from framework.report.overlay import draw_overlay


@pytest.fixture
def drawn(tmp_path: Path, figures: list[Figure]) -> Any:
    """Draws an overlay and gives its figure, and its pixels."""

    def run(photo: np.ndarray, attention: np.ndarray, words: list[str]) -> tuple[Figure, np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw_overlay(tmp_path / "deep" / "overlay.png", photo, attention, words)
        return figures[-1], imread(tmp_path / "deep" / "overlay.png")

    return run


def panels(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_the_attended_place_is_bright_and_the_rest_dark(drawn: Any) -> None:
    photo = np.full((70, 70, 3), 200, np.uint8)
    attention = np.zeros((2, 49))
    attention[0, 0] = 1.0
    attention[1, 48] = 0.3
    figure, pixels = drawn(photo, attention, ["a", "$dog$"])
    whole, first, second = panels(figure)
    assert (whole == photo).all()
    assert first[4, 4, 0] == second[65, 65, 0] == 200, "scaled by the word's own largest weight"
    assert first[65, 65, 0] == second[4, 4, 0] == 50
    # Between the middles of two cells the light falls evenly.
    across = first[4, 5:15, 0].astype(int)
    assert (np.diff(across) < 0).all() and abs(int(across[4]) - 133) < 10
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["", "a", "$dog$"]
    assert pixels.ndim == 3


@pytest.mark.parametrize("shape", [(10, 400), (400, 10), (1, 1), (224, 224)])
def test_photos_of_any_shape(drawn: Any, shape: tuple[int, int]) -> None:
    words = [f"word{number}" for number in range(12)]
    attention = np.random.default_rng(0).dirichlet(np.ones(12), 12).reshape(12, 3, 4)
    figure, pixels = drawn(np.zeros((*shape, 3), np.uint8), attention, words)
    assert len(panels(figure)) == 13
    assert pixels.shape[1] < 1300 and pixels.shape[0] < 1000


def test_no_words_show_the_photo(drawn: Any) -> None:
    assert len(panels(drawn(np.zeros((4, 4, 3), np.uint8), np.zeros((0, 9)), [])[0])) == 1


def test_what_makes_no_picture(tmp_path: Path) -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InputError, match="50 places make no square grid"):
        draw_overlay(tmp_path / "a.png", photo, np.ones((1, 50)), ["a"])
    with pytest.raises(InputError, match="there are 2 words and attention of 1"):
        draw_overlay(tmp_path / "a.png", photo, np.ones((1, 49)), ["a", "b"])
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        draw_overlay(tmp_path / "file" / "a.png", photo, np.ones((1, 49)), ["a"])
