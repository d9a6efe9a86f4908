"""The sheet of photos with their captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from framework.report.contact_sheet import PHOTOS, draw_contact_sheet
from framework.report.predictions import Judged


def judged(number: int, asked: list[int], caption: str = "a red square left of $5 <b>") -> Judged:
    def photo() -> np.ndarray:
        asked.append(number)
        return np.full((40, 60 + number, 3), 200, np.uint8)

    return Judged(f"{number}.png", caption, ["what people said of it, at some length, so that it takes several lines"] * 5, 0.5, photo)


def test_photos_are_spread_over_all_and_drawn(tmp_path: Path) -> None:
    asked: list[int] = []
    path = tmp_path / "deep" / "sheet.png"
    assert draw_contact_sheet(path, [judged(number, asked) for number in range(120)], "CIDEr-D")
    assert asked == list(range(0, 120, 10)) and len(asked) == PHOTOS
    image = np.asarray(Image.open(path).convert("L"))
    assert image.shape[0] > 1000 and image.shape[1] > 1000
    assert (image < 100).any(), "there is text"


def test_few_photos_and_none(tmp_path: Path) -> None:
    asked: list[int] = []
    assert draw_contact_sheet(tmp_path / "one.png", [judged(0, asked, "")], "CIDEr-D")
    assert (tmp_path / "one.png").is_file()
    text = [Judged("hola", "hello", ["hello"], 1.0), Judged("si", "yes", ["yes"], 1.0, lambda: None)]
    assert not draw_contact_sheet(tmp_path / "text.png", text, "chrF")
    assert not draw_contact_sheet(tmp_path / "text.png", [], "chrF")
    assert not (tmp_path / "text.png").exists()
