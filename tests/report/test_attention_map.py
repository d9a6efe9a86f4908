"""Attention maps: as large as their sentences, every word on its axis, letters of any script, no warning."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from framework.errors import RunError
from framework.report.attention_map import draw_attention


@pytest.fixture
def drawn(tmp_path: Path, figures: list[Figure]) -> Any:
    """Draws a map of these words and gives its figure, which says what is on it, and its pixels."""

    def run(written: Sequence[str], read: Sequence[str]) -> tuple[Figure, np.ndarray]:
        attention = np.random.default_rng(0).dirichlet(np.ones(len(read)), len(written)).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw_attention(tmp_path / "maps" / "map.png", attention, written, read)
        return figures[-1], imread(tmp_path / "maps" / "map.png")

    return run


def labels(figure: Figure) -> tuple[list[str], list[str]]:
    axes = figure.axes[0]
    return [one.get_text() for one in axes.get_yticklabels()], [one.get_text() for one in axes.get_xticklabels()]


def test_words_stand_on_both_axes(drawn: Any) -> None:
    written, read = ["the", "year", "é$x_1$", "<end>"], ["<start>", "el", "año", "¿niño?", "<end>"]
    figure, pixels = drawn(written, read)
    assert labels(figure) == (written, read)
    axes = figure.axes[0]
    # The first word written is at the top, the sources' words stand above.
    assert axes.yaxis_inverted()
    assert axes.xaxis.get_ticks_position() == "top"
    assert axes.images[0].get_array().shape == (4, 5)
    assert pixels.shape[0] < 900 and pixels.shape[1] < 900


def test_every_label_lies_within_the_picture_and_none_on_another(drawn: Any) -> None:
    written = ["internationalization", "of", "the", "Åland", "islands", "<end>"]
    figure, _ = drawn(written, ["Donaudampfschifffahrtsgesellschaft", "und", "Straßen", "ü", "."])
    axes, renderer = figure.axes[0], figure.canvas.get_renderer()
    assert labels(figure)[1][0] == "Donaudampfschifffahrtsgesel…"
    for axis in (axes.xaxis, axes.yaxis):
        boxes = [one.get_window_extent(renderer) for one in axis.get_ticklabels()]
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for one, other in pairwise(boxes):
            assert not one.overlaps(other)


@pytest.mark.parametrize("words", [["שלום", "עולם"], ["مرحبا", "بالعالم"], ["привет", "мир"], ["ζωή", "ψυχή"], ["Tiếng", "Việt"]], ids=str)
def test_scripts_of_the_usual_font_are_drawn_as_they_are(words: list[str], drawn: Any) -> None:
    assert labels(drawn(words, words)[0]) == (words, words)


def test_letters_that_no_font_has_are_told_by_their_code_points(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.font_manager import fontManager

    monkeypatch.setattr(fontManager, "ttflist", [one for one in fontManager.ttflist if one.name.startswith(("DejaVu", "Last"))])
    figure, _ = drawn(["a\U0001f642b", "你", "x\x07"], ["ok"])
    assert labels(figure)[0] == ["aU+1F642b", "U+4F60", "xU+0007"]


def test_a_map_grows_with_its_sentences_up_to_a_limit(drawn: Any) -> None:
    small, middle, large = (drawn(["w"] * count, ["r"])[1].shape for count in (5, 40, 500))
    assert small[0] < middle[0] < large[0] < 6000
    figure, _ = drawn([f"w{place}" for place in range(1200)], ["r"])
    shown = labels(figure)[0]
    assert 100 < len(shown) < 1200
    assert shown[:2] == ["w0", "w4"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        draw_attention(tmp_path / "file" / "map.png", np.ones((1, 1)), ["a"], ["b"])
