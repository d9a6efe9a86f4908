"""The offline images of this recipe: scenes of two coloured shapes, drawn by Pillow, with captions that say where they are.

MS-COCO and Flickr8k need no code: ``configs/data/coco2014.yaml`` and ``configs/data/flickr8k.yaml`` say where they are.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framework.data.captions.corpus import caption_corpus
from framework.errors import InputError

SIZE = 64
"""Pixels of a scene on each side."""

CELLS = 4
"""Rows and columns of the cells that shapes are put into, one into a cell."""

COUNT = 4_000
"""Scenes."""

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "yellow": (240, 200, 30),
    "purple": (130, 60, 180),
    "black": (30, 30, 30),
}
FORMS = ("circle", "square", "triangle", "cross")

_CELL = SIZE // CELLS
_ALL = frozenset(f"scene-{number:05d}.ppm" for number in range(COUNT))


@dataclass(frozen=True)
class Shape:
    """A shape of a scene.

    Attributes:
        colour: a name of :data:`COLOURS`.
        form: one of :data:`FORMS`.
        box: left, top, right and bottom in pixels, the last ones not counted.
    """

    colour: str
    form: str
    box: tuple[int, int, int, int]

    def __str__(self) -> str:
        return f"a {self.colour} {self.form}"


@dataclass(frozen=True)
class Scene:
    """Two shapes side by side or one above the other.

    Attributes:
        shapes: the left or the upper one first.
        beside: whether they are side by side.
        background: grey of the rest, from 0 to 255.
    """

    shapes: tuple[Shape, Shape]
    beside: bool
    background: int

    @property
    def captions(self) -> tuple[str, str]:
        """What is to be said of it, either way round; the shape that comes first is named first."""
        first, second = self.shapes
        there, back = ("left of", "right of") if self.beside else ("above", "below")
        return f"{first} {there} {second}", f"{second} {back} {first}"

    def drawn(self) -> bytes:
        """The picture, a PPM file of :data:`SIZE` pixels on each side."""
        try:
            from PIL import Image, ImageDraw
        except ImportError as error:
            raise InputError("corpus scenes needs Pillow, which is not installed: pip install 'gatework[captioning]'") from error
        image = Image.new("RGB", (SIZE, SIZE), (self.background,) * 3)
        pen = ImageDraw.Draw(image)
        for shape in self.shapes:
            left, top, right, bottom = shape.box
            colour, inner = COLOURS[shape.colour], (left, top, right - 1, bottom - 1)
            if shape.form == "circle":
                pen.ellipse(inner, fill=colour)
            elif shape.form == "square":
                pen.rectangle(inner, fill=colour)
            elif shape.form == "triangle":
                pen.polygon([(left, bottom - 1), ((left + right - 1) // 2, top), (right - 1, bottom - 1)], fill=colour)
            else:
                third = (right - left) // 3
                pen.rectangle((left + third, top, right - 1 - third, bottom - 1), fill=colour)
                pen.rectangle((left, top + third, right - 1, bottom - 1 - third), fill=colour)
        file = io.BytesIO()
        image.save(file, "PPM")
        return file.getvalue()


def scene(name: str) -> Scene:
    """The scene of that name; the same each time.

    Raises:
        KeyError: there is none.
    """
    if name not in _ALL:
        raise KeyError(name)
    draw = random.Random(name)
    beside = draw.random() < 0.5
    line, (one, other) = draw.randrange(CELLS), sorted(draw.sample(range(CELLS), 2))
    cells = [(one, line), (other, line)] if beside else [(line, one), (line, other)]
    kinds = draw.sample([(colour, form) for colour in COLOURS for form in FORMS], 2)
    first, second = (Shape(*kind, _box(draw, *cell)) for kind, cell in zip(kinds, cells, strict=True))
    return Scene((first, second), beside, draw.randrange(225, 256))


def _box(draw: random.Random, column: int, row: int) -> tuple[int, int, int, int]:
    """Somewhere in a cell."""
    side = draw.randrange(10, _CELL - 1)
    left, top = column * _CELL + draw.randrange(_CELL - side + 1), row * _CELL + draw.randrange(_CELL - side + 1)
    return left, top, left + side, top + side


class SceneImages:
    """The scenes as images; each is drawn when it is asked for."""

    def find(self, name: str) -> str | None:
        """The name itself, where there is such a scene."""
        return name if name in _ALL else None

    def read(self, name: str) -> bytes:
        """The picture."""
        return scene(name).drawn()

    def path(self, name: str) -> Path | None:
        """None: it is no file."""
        return None

    def regions(self, name: str) -> Mapping[str, tuple[float, float, float, float]]:
        """Where the shapes lie, by what they are called."""
        shares = {str(shape): [side / SIZE for side in shape.box] for shape in scene(name).shapes}
        return {called: (left, top, right, bottom) for called, (left, top, right, bottom) in shares.items()}

    def names(self) -> Sequence[str]:
        """All of them."""
        return sorted(_ALL)


class Scenes:
    """All scenes with their captions."""

    images = SceneImages()

    def captions(self) -> Iterator[tuple[str, str, str | None]]:
        """Each scene's name and both its captions."""
        for name in self.images.names():
            for caption in scene(name).captions:
                yield name, caption, None


caption_corpus("scenes")(Scenes)
